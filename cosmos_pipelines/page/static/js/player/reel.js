// One video of a screen: opened in the best way that this browser has, with what it says of itself.
// `state`: closed, opening, ready, failed (then `trouble` is a sentence for people).
import { lineUp, rational } from "./clock.js";
import { ElementFrames } from "./fallback.js";
import { Refused } from "./refused.js";

export const EXACT = "VideoDecoder" in globalThis;
export const INEXACT = "This browser shows single frames by its video element, since WebCodecs needs HTTPS or " +
  "the address of this very machine: while it plays, videos may be a frame apart.";

export class Reel {
  #frames = null;

  constructor(source, onChange) {
    this.source = source;
    this.state = source.trouble || !source.url ? "failed" : "closed";
    this.trouble = source.trouble ?? (source.url ? null : "There is no video.");
    this.frames = source.frames ?? 1;
    this.rate = rational(source.fps ?? 24);
    this.width = source.width ?? 16;
    this.height = source.height ?? 9;
    this.onChange = onChange;
  }

  async open() {
    if (this.state !== "closed") return;
    this.state = "opening";
    try {
      const { DecodedFrames } = EXACT ? await import("./frames.js") : {};
      const Frames = DecodedFrames ?? ElementFrames;
      const found = await Frames.open(this.source, () => this.#came(), (error) => this.#fail(error));
      if (this.state !== "opening") return found.close();
      this.#frames = found;
      for (const fact of ["frames", "rate", "width", "height"]) this[fact] = found[fact];
      if (this.budget) found.allow(this.budget);
      this.state = "ready";
      this.onChange("ready");
    } catch (error) {
      this.#fail(error);
    }
  }

  allow(bytes) {
    this.budget = bytes;
    this.#frames?.allow(bytes);
  }

  // What is to be known of a video that is shown.
  get note() {
    const known = this.source.frames;
    return known && this.frames < known ? `only ${this.frames} of ${known} frames are there` : "";
  }

  get decoded() { return this.#frames?.decoded ?? 0; }
  get kept() { return this.#frames?.kept ?? 0; }
  get exact() { return this.#frames?.exact ?? true; }

  // What this video shows at a clock's frame: its frame `n`, and whether it has ended before.
  at(frame, rate) {
    return lineUp(frame, rate, this);
  }

  want(frame, clock) {
    if (this.state !== "ready") return;
    const own = (at) => this.at(at, clock.rate).n;
    const [first, last] = clock.range;
    const { playing, speed, direction, loop } = clock;
    this.#frames.want(own(frame), { playing, speed, direction, loop, range: [own(first), own(last)] });
  }

  // The picture at a clock's frame; null if it is not there yet.
  picture(frame, rate) {
    return this.state === "ready" ? this.#frames.get(this.at(frame, rate).n) : null;
  }

  close() {
    this.#frames?.close();
    this.#frames = null;
    if (this.state !== "failed") this.state = "closed";
  }

  // A frame came, or the end of a file that is shorter than it says.
  #came() {
    const shorter = this.#frames && this.frames !== this.#frames.frames;
    if (shorter) this.frames = this.#frames.frames;
    this.onChange(shorter ? "ready" : "frame");
  }

  async #fail(error) {
    if (this.state === "failed") return;
    this.state = "failed";
    const why = error instanceof Refused ? error.message : await whyNot(this.source.url, error);
    this.#frames?.close();
    this.#frames = null;
    this.trouble = why;
    this.onChange("failed");
  }
}

// A file that is gone is the usual reason of an error in the middle of a video.
async function whyNot(url, error) {
  try {
    const answer = await fetch(url, { headers: { Range: "bytes=0-0" }, cache: "no-store" });
    if (answer.status === 404) return "The video is gone: its file was deleted or moved.";
    if (!answer.ok) return `The server does not give the video (HTTP ${answer.status}).`;
  } catch {
    return "The server does not answer. Is `cosmos ui` running?";
  }
  return `This browser cannot decode the video (${error?.message ?? error}).`;
}
