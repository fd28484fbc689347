// Several videos on one clock: asks for the frames that come, and draws a frame only when every
// visible video has it, so that all show the same one. A video that failed stops no other.
import { commonTime } from "./clock.js";
import { EXACT, Reel } from "./reel.js";

const BEHIND_MS = 250; // so far behind the clock waits for the decoders

export class Show {
  #asked = 0; #dirty = true; #drawn = -1; #drawnAt = 0; #closed = false; #late = 0; #painted = 0;

  // `draw(frame, reels)` paints; `told(what, reel)` is called at ready, failed, frame shown.
  constructor(clock, sources, { draw, told = () => {} }) {
    this.clock = clock;
    this.draw = draw;
    this.told = told;
    this.dropped = 0;
    this.reels = sources.map((source) => {
      const reel = new Reel(source, (what) => this.#changed(what, reel));
      return reel;
    });
    this.visible = new Set(this.reels);
    this.#measure();
    clock.onChange(() => this.refresh());
  }

  // Shows these videos and no other; the memory is theirs.
  async see(reels) {
    this.visible = new Set(reels);
    for (const reel of this.visible) reel.open();
    this.refresh();
    if (EXACT) {
      const { BUDGET } = await import("./frames.js");
      const open = this.reels.filter((reel) => reel.state !== "failed" && reel.state !== "closed");
      for (const reel of open) reel.allow(BUDGET / Math.max(1, open.length));
    }
  }

  // Something is to be painted anew: the clock, a size, a mode.
  refresh() {
    this.#dirty = true;
    this.#ask();
  }

  // Paints what is on the screen again at once: a canvas is empty after a change of its size.
  repaint() {
    const reels = [...this.visible].filter((reel) => reel.state === "ready");
    if (this.#drawn >= 0 && this.#has(this.#drawn, reels)) this.#paint(this.#drawn, reels, true);
    this.refresh();
  }

  // Whether every visible video that can be shown is on the screen, at its first frame or later.
  get complete() {
    const visible = [...this.visible];
    return this.#drawn >= 0 && visible.every(({ state }) => state !== "opening") &&
      this.#painted === visible.filter(({ state }) => state === "ready").length;
  }

  // The frame that is on the screen.
  get shown() { return this.#drawn; }

  close() {
    this.#closed = true;
    cancelAnimationFrame(this.#asked);
    for (const reel of this.reels) reel.close();
  }

  #changed(what, reel) {
    if (this.#closed) return;
    if (what === "ready" || what === "failed") {
      this.#measure();
      this.told(what, reel);
      this.refresh();
    } else {
      this.#ask();
    }
  }

  #measure() {
    const usable = this.reels.filter((reel) => reel.state !== "failed");
    if (usable.length === 0) return;
    const { rate, frames } = commonTime(usable);
    this.clock.setLength(frames, rate);
  }

  #ask() {
    if (!this.#closed && !this.#asked) this.#asked = requestAnimationFrame(() => this.#tick());
  }

  #tick() {
    this.#asked = 0;
    const { clock } = this;
    const frame = clock.frame;
    const reels = [...this.visible].filter((reel) => reel.state === "ready");
    for (const reel of reels) reel.want(frame, clock);
    const there = reels.length > 0 && reels.every((reel) => reel.picture(frame, clock.rate));
    if (there && (this.#dirty || frame !== this.#drawn)) this.#paint(frame, reels);
    else if (!there && this.#dirty && this.#drawn >= 0 && this.#has(this.#drawn, reels)) this.#paint(this.#drawn, reels, true);
    if (clock.playing) {
      if (!there) this.#wait();
      this.#ask();
    }
  }

  #has(frame, reels) {
    return reels.length > 0 && reels.every((reel) => reel.picture(frame, this.clock.rate));
  }

  #paint(frame, reels, again = false) {
    const moved = Math.abs(frame - this.#drawn);
    const { clock } = this;
    if (!again && clock.playing && this.#drawn >= 0 && frame !== this.#drawn && moved < clock.frames / 2) {
      this.dropped += Math.max(0, moved - Math.max(1, Math.ceil(Math.abs(clock.speed))));
    }
    this.draw(frame, reels);
    this.#drawn = frame;
    this.#painted = reels.length;
    this.#drawnAt = performance.now();
    this.#dirty = again;
    this.told("frame", null);
  }

  // Real time is kept by leaving frames out; far behind, the clock waits instead.
  #wait() {
    const now = performance.now();
    if (now - this.#drawnAt < BEHIND_MS || this.#drawn < 0) return;
    if (now - this.#late < 40) return;
    this.#late = now;
    const [first, last] = this.clock.range;
    if (this.#drawn >= first && this.#drawn <= last) this.clock.hold(this.#drawn);
  }
}
