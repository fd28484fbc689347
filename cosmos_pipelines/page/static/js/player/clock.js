// One clock for all videos on a screen: which frame is due now, in whole frames of an exact rate.
// A frame is counted from real time by whole numbers, so that nothing adds up over hours.
export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];

// "24", "30000/1001", 23.976 as [numerator, denominator].
export function rational(rate) {
  const [num, den] = String(rate ?? "").split("/").map(Number);
  if (!(num > 0)) return [24, 1];
  if (den > 0) return [num, den];
  if (Number.isInteger(num)) return [num, 1];
  const ntsc = Math.round(num * 1.001);
  if (Math.abs(num - ntsc / 1.001) < 0.005) return [ntsc * 1000, 1001];
  return [Math.round(num * 1000), 1000];
}

// The frame of a video that lies at a clock's frame, by time. After its end: its last one, `ended`.
export function lineUp(frame, clockRate, { frames, rate }) {
  const [num, den] = clockRate;
  const own = Math.floor((frame * den * rate[0]) / (num * rate[1]) + 1e-9);
  return own < frames ? { n: own, ended: false } : { n: frames - 1, ended: true };
}

// The clock for videos: the highest of their rates, as long as the longest of them.
export function commonTime(videos) {
  const faster = (a, b) => (b[0] * a[1] > a[0] * b[1] ? b : a);
  const rate = videos.map((video) => video.rate).reduce(faster, videos[0]?.rate ?? [24, 1]);
  const own = ({ frames, rate: [num, den] }) => Math.ceil((frames * den * rate[0]) / (num * rate[1]) - 1e-9);
  return { rate, frames: Math.max(1, ...videos.map(own)) };
}

// HH:MM:SS:FF; frames are counted by the rounded rate (no frames are dropped from the count).
export function timecode(frame, [num, den]) {
  const base = Math.round(num / den) || 1;
  const seconds = Math.floor(frame / base);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60, frame % base];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

export class Clock {
  #base = 0; #since = 0; #now; #listeners = new Set();

  constructor({ frames = 1, rate = [24, 1], now = () => performance.now() } = {}) {
    this.#now = now;
    this.frames = frames;
    this.rate = rate;
    this.speed = 0; // 0: it stands; below 0: backwards
    this.direction = 1; // of the last movement: where frames are decoded ahead
    this.loop = true;
    this.from = null; // in and out point: frames, both shown
    this.to = null;
  }

  get playing() { return this.speed !== 0; }
  get range() { return [this.from ?? 0, this.to ?? this.frames - 1]; }

  // The frame that is due now; the clock stops here at an end that is not looped.
  get frame() {
    if (!this.speed) return this.#base;
    const [first, last] = this.range;
    const elapsed = Math.max(0, this.#now() - this.#since);
    const moved = Math.floor((elapsed * this.rate[0] * Math.abs(this.speed)) / (this.rate[1] * 1000) + 1e-6);
    const due = this.#base + Math.sign(this.speed) * moved;
    if (due >= first && due <= last) return due;
    const length = last - first + 1;
    if (this.loop) return first + ((((due - first) % length) + length) % length);
    this.#stand(due < first ? first : last);
    return this.#base;
  }

  setLength(frames, rate = this.rate) {
    const frame = this.frame;
    this.frames = Math.max(1, frames);
    this.rate = rate;
    if (this.to !== null && this.to >= this.frames) this.to = null;
    if (this.from !== null && this.from >= this.frames) this.from = null;
    this.#move(frame);
  }

  play(speed = 1) {
    const [first, last] = this.range;
    let frame = this.frame;
    if (frame < first || frame > last) frame = speed > 0 ? first : last;
    if (!this.loop && speed > 0 && frame === last) frame = first;
    if (!this.loop && speed < 0 && frame === first) frame = last;
    this.speed = speed;
    this.direction = Math.sign(speed) || 1;
    this.#move(frame);
  }

  pause() { this.#stand(this.frame); }
  toggle() { this.playing ? this.pause() : this.play(this.direction); }

  // L and J: forwards or backwards, each press twice as fast.
  shuttle(direction) {
    const same = Math.sign(this.speed) === direction;
    const fast = same ? Math.min(8, Math.max(1, Math.abs(this.speed) * 2)) : 1;
    this.play(direction * fast);
  }

  // A frame by number; it is held inside of the video.
  seek(frame) {
    const to = Math.min(this.frames - 1, Math.max(0, Math.round(frame) || 0));
    if (!this.speed && to !== this.#base) this.direction = Math.sign(to - this.#base);
    this.#move(to);
  }

  // Single steps stop the clock; at an end of a loop they go on at its other end.
  step(by) {
    const [first, last] = this.range;
    const before = this.frame;
    let to = before + by;
    if (this.loop && Math.abs(by) === 1 && before >= first && before <= last) {
      to = to > last ? first : to < first ? last : to;
    }
    this.speed = 0;
    this.seek(to);
    this.direction = Math.sign(by) || 1;
  }

  // Frames come later than they are due: go on from this one, which is shown.
  hold(frame) {
    this.#base = frame;
    this.#since = this.#now();
  }

  setIn(frame = this.frame) {
    this.from = frame;
    if (this.to !== null && this.to < frame) this.to = null;
    this.#move(this.frame);
  }

  setOut(frame = this.frame) {
    this.to = frame;
    if (this.from !== null && this.from > frame) this.from = null;
    this.#move(this.frame);
  }

  clearPoints() {
    const frame = this.frame;
    this.from = this.to = null;
    this.#move(frame);
  }

  setLoop(on) {
    const frame = this.frame;
    this.loop = on;
    this.#move(frame);
  }

  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #stand(frame) {
    this.speed = 0;
    this.#move(frame);
  }

  #move(frame) {
    this.#base = Math.min(this.frames - 1, Math.max(0, frame));
    this.#since = this.#now();
    for (const listener of this.#listeners) listener(this);
  }
}
