// Decoded frames of one video by WebCodecs: a ring around the playhead, filled in the direction of
// play. Decoding always begins at a key frame and goes on from where it is if it can, so a jump is
// as expensive as its distance from the key frame, and a step inside of the ring costs nothing.
// Software decoding: hundreds of its frames may be kept, of a hardware decoder's about sixteen.
import {
  ALL_FORMATS, EncodedPacketSink, Input, UrlSource, VideoSampleSink,
} from "../../vendor/mediabunny.min.mjs";
import { rational } from "./clock.js";
import { Refused } from "./refused.js";
import { wanted } from "./window.js";

const FEWEST = 8; // frames that are kept of a video, however large they are
const FEW = 12; // frames of a hardware decoder that are kept
const MB = 1 << 20;
const TRIES = 4; // of a connection that was cut, for each video

// Bytes for the decoded frames of all videos on a screen.
export const BUDGET = (navigator.deviceMemory ?? 4) * 96 * MB;

export class DecodedFrames {
  #input; #sink; #packets; #track; #kept = new Map(); #holes = new Map();
  #run = null; #at = 0; #key = 0; #last = -1; #need = []; #frame = 0; #ahead = 1; #asked = 0;
  #wake = null; #closed = false;

  // Raises Refused, with a sentence, if this browser cannot show the video.
  static async open(source, onFrame, onTrouble) {
    const found = new DecodedFrames(onFrame, onTrouble);
    try {
      await found.#open(source);
    } catch (error) {
      found.close();
      throw error;
    }
    found.#work();
    return found;
  }

  constructor(onFrame, onTrouble) {
    this.exact = true;
    this.room = FEWEST;
    this.decoded = 0; // frames that the decoder gave, for measurements
    this.onFrame = onFrame;
    this.onTrouble = onTrouble;
  }

  async #open({ url, fps }) {
    let tries = TRIES;
    const getRetryDelay = () => ((tries -= 1) >= 0 ? 0.2 : null); // seconds
    const handleUnhandledError = () => {}; // of reading ahead: who needs those bytes meets it again
    this.#input = new Input({
      source: new UrlSource(url, { getRetryDelay, handleUnhandledError }), formats: ALL_FORMATS,
    });
    this.#track = await this.#input.getPrimaryVideoTrack();
    if (!this.#track) throw new Refused("The file has no picture.");
    const hint = await hardware(this.#track);
    this.#sink = new VideoSampleSink(this.#track, { hardwareAcceleration: hint });
    this.#packets = new EncodedPacketSink(this.#track);
    this.soft = hint === "prefer-software";
    const stats = await this.#track.computePacketStats();
    this.start = await this.#track.getFirstTimestamp();
    this.rate = rateOf(fps, stats.averagePacketRate);
    this.frames = stats.packetCount;
    this.width = await this.#track.getDisplayWidth();
    this.height = await this.#track.getDisplayHeight();
    this.bytes = Math.ceil(this.width * this.height * 1.5);
  }

  // How many bytes the kept frames may have.
  allow(bytes) {
    const room = Math.max(FEWEST, Math.floor(bytes / this.bytes));
    this.room = this.soft ? room : Math.min(room, FEW);
    while (this.#kept.size > this.room) this.#evict();
  }

  get kept() { return this.#kept.size; }

  // The picture of a frame if it is there.
  get(n) {
    return this.#kept.get(this.#of(n)) ?? null;
  }

  want(n, plan) {
    this.#frame = n;
    this.#need = wanted(n, this.frames, this.room, plan);
    this.#ahead = plan.direction;
    this.#asked += 1;
    this.#wake?.();
  }

  close() {
    this.#closed = true;
    this.#wake?.();
    this.#stop();
    for (const frame of this.#kept.values()) frame.close();
    this.#kept.clear();
    this.#input?.dispose();
  }

  async #work() {
    try {
      while (!this.#closed) {
        const asked = this.#asked;
        if (await this.#reach()) await this.#decode();
        else if (asked === this.#asked) await new Promise((resolve) => { this.#wake = resolve; });
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  // Brings the decoder to where the next missing frame comes; false: nothing is to be done now.
  async #reach() {
    const missing = this.#need.findIndex((n) => n < this.frames && !this.#kept.has(this.#of(n)));
    if (missing < 0) return false;
    const n = this.#of(this.#need[missing]);
    const key = this.#run && n >= this.#at && n < this.#at + 2 ? this.#key : await this.#keyOf(n);
    if (this.#closed) return false;
    if (this.#run && this.#at <= n && key <= this.#at) return true;
    // Another start is worth it only for many frames: one a step would decode from the key each time.
    const near = Math.abs(n - this.#frame) <= this.#need.length / 3;
    if (!near && missing > 2 && this.#ahead < 0 === n < this.#frame) return false;
    this.#stop();
    this.#key = this.#at = key;
    this.#run = this.#sink.samples(this.#time(key) + 0.25 * this.#length);
    this.#last = -1;
    return true;
  }

  async #decode() {
    const run = this.#run;
    const { value: sample, done } = await run.next();
    if (this.#closed || run !== this.#run) {
      sample?.close();
      return;
    }
    const n = done ? -1 : Math.round((sample.timestamp - this.start) / this.#length);
    if (n < this.#at) {
      sample?.close(); // a frame before the one that was asked for: the file has nothing there
      if (done || this.#last < 0) this.#end();
      return;
    }
    this.decoded += 1;
    for (let gap = this.#at; gap < n; gap += 1) this.#holes.set(gap, this.#last < 0 ? n : this.#last);
    this.#at = n + 1;
    this.#last = n;
    this.#keep(n, sample);
  }

  // The file has no more frames; fewer than it says, if it was cut off.
  #end() {
    const end = this.#last < 0 ? this.#key : this.#last + 1;
    if (end < 1) throw new Refused("No picture could be decoded.");
    this.frames = Math.min(this.frames, end);
    this.#stop();
    this.onFrame();
  }

  #keep(n, sample) {
    const useful = this.#need.includes(n) || this.#need.some((one) => this.#of(one) === n);
    if (this.#kept.has(n) || (!useful && this.#kept.size >= this.room)) return sample.close();
    if (this.#kept.size >= this.room) this.#evict();
    const frame = sample.toVideoFrame();
    sample.close();
    this.#kept.set(n, frame);
    if (n === this.#of(this.#frame)) this.onFrame();
  }

  #evict() {
    const useful = new Set(this.#need.map((n) => this.#of(n)));
    const shown = this.#of(this.#frame);
    let farthest = null;
    let distance = -1;
    for (const n of this.#kept.keys()) {
      const far = Math.abs(n - this.#frame) + (useful.has(n) ? 0 : 1e9);
      if (far > distance && n !== shown) [farthest, distance] = [n, far];
    }
    if (farthest === null) return;
    this.#kept.get(farthest).close();
    this.#kept.delete(farthest);
  }

  #stop() {
    const run = this.#run;
    this.#run = null;
    run?.return().catch(() => {}); // what it was decoding is no longer wanted
  }

  // The frame that is shown at a number: where a file leaves one out, the one before it.
  #of(n) { return this.#holes.get(n) ?? n; }

  get #length() { return this.rate[1] / this.rate[0]; }
  #time(n) { return this.start + n * this.#length; }

  async #keyOf(n) {
    const packet = await this.#packets.getKeyPacket(this.#time(n + 0.25), { metadataOnly: true });
    return packet ? Math.max(0, Math.round((packet.timestamp - this.start) / this.#length)) : 0;
  }

  #failed(error) {
    if (!this.#closed) this.onTrouble(error);
  }
}

// The exact rate that the catalog knows, unless the file has become another one.
function rateOf(known, measured) {
  const [num, den] = rational(known);
  return known && Math.abs(num / den / measured - 1) < 0.005 ? [num, den] : rational(measured);
}

async function hardware(track) {
  const config = await track.getDecoderConfig();
  for (const hint of ["prefer-software", "no-preference"]) {
    try {
      const asked = await VideoDecoder.isConfigSupported({ ...config, hardwareAcceleration: hint });
      if (asked.supported) return hint;
    } catch { /* the browser does not know such a configuration: the sentence below says so */ }
  }
  const codec = (await track.getCodecParameterString()) ?? (await track.getCodec()) ?? "unknown";
  throw new Refused(`This browser cannot decode the video (${codec}).`);
}
