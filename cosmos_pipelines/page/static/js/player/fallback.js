// Frames of a <video> element, where the browser has no WebCodecs: plain HTTP from another machine is
// no "secure context". A paused video shows exactly the frame that was asked for; a playing one runs
// by itself and is corrected when it is more than two frames off.
import { rational } from "./clock.js";
import { Refused } from "./refused.js";

const OFF = 2; // frames
const OPENS_MS = 15000;

export class ElementFrames {
  #video; #shown = -1; #target = 0; #seeking = false; #watching = 0; #closed = false;

  static async open(source, onFrame, onTrouble) {
    const found = new ElementFrames(onFrame, onTrouble);
    try {
      await found.#open(source);
    } catch (error) {
      found.close();
      throw error;
    }
    return found;
  }

  constructor(onFrame, onTrouble) {
    this.exact = false;
    this.onFrame = onFrame;
    this.onTrouble = onTrouble;
  }

  async #open({ url, fps, frames }) {
    const video = document.createElement("video");
    this.#video = video;
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", src: url });
    await new Promise((resolve, reject) => {
      const refuse = () => reject(new Refused("The browser cannot read or decode the video."));
      video.addEventListener("loadeddata", resolve, { once: true });
      video.addEventListener("error", refuse, { once: true });
      setTimeout(() => reject(new Refused("The video does not come.")), OPENS_MS);
    });
    if (!video.videoWidth) throw new Refused("The browser cannot decode the video.");
    this.rate = rational(fps ?? 24);
    const measured = Math.max(1, Math.round(video.duration * this.#perSecond));
    this.frames = Math.min(frames ?? measured, measured);
    this.width = video.videoWidth;
    this.height = video.videoHeight;
    video.addEventListener("error", () => this.onTrouble(new Refused("The video can no longer be read.")));
    video.addEventListener("seeked", () => { this.#seeking = false; this.#seek(); });
    this.#watch();
  }

  allow() {}

  get kept() { return 1; }

  // While it plays, what is there is shown; the count that is told is that of the frame itself.
  get(n) {
    const usable = this.#shown === n || (!this.#video.paused && this.#shown >= 0);
    return usable ? this.#video : null;
  }

  get shown() { return this.#shown; }

  want(n, plan) {
    this.#target = n;
    const video = this.#video;
    if (plan.playing && plan.direction > 0) {
      video.playbackRate = plan.speed;
      if (Math.abs(n - this.#shown) > OFF + plan.speed && !this.#seeking) this.#seek();
      if (video.paused) video.play().catch(() => {}); // it was paused again at once
    } else {
      if (!video.paused) video.pause();
      this.#seek();
    }
  }

  close() {
    this.#closed = true;
    this.#video?.cancelVideoFrameCallback?.(this.#watching);
    this.#video?.pause();
    this.#video?.removeAttribute("src");
    this.#video?.load();
  }

  get #perSecond() { return this.rate[0] / this.rate[1]; }

  #seek() {
    if (this.#closed || this.#seeking || this.#shown === this.#target) return;
    const time = (this.#target + 0.5) / this.#perSecond;
    if (Math.abs(this.#video.currentTime - time) < 1e-6) return;
    this.#seeking = true;
    this.#video.currentTime = time;
  }

  #watch() {
    const told = (seconds) => {
      this.#shown = Math.min(this.frames - 1, Math.round(seconds * this.#perSecond - 0.001));
      this.onFrame();
    };
    if (!this.#video.requestVideoFrameCallback) {
      for (const name of ["seeked", "timeupdate", "loadeddata"]) {
        this.#video.addEventListener(name, () => told(this.#video.currentTime - 0.5 / this.#perSecond));
      }
      this.#shown = 0;
      return;
    }
    const next = () => {
      if (!this.#closed) this.#watching = this.#video.requestVideoFrameCallback((_, { mediaTime }) => {
        told(mediaTime);
        next();
      });
    };
    next();
  }
}
