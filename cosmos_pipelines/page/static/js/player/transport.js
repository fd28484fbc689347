// The bar below a picture, and its keys: play, step, jump, points, speed, zoom, full screen.
// The keys of the page act on the player that was used last.
import { bind } from "../keys.js";
import { SPEEDS, timecode } from "./clock.js";
import { Timeline } from "./timeline.js";

const ZOOMS = [["fit", "Fit"], [0.5, "50 %"], [1, "100 %"], [2, "200 %"], [4, "400 %"], [8, "800 %"]];
let active = null;
let bound = false;

export class Transport {
  // `screen`: what full screen shows; `view`: the view that + and - enlarge.
  constructor(bar, { clock, zoom, screen, view, show }) {
    Object.assign(this, { bar, clock, zoom, screen, view, show });
    bar.classList.add("transport");
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Playback");
    this.#build();
    const use = () => { active = this; };
    screen.addEventListener("pointerdown", use);
    screen.addEventListener("focusin", use);
    active ??= this;
    bindKeys();
    clock.onChange(() => this.update());
    zoom.onChange(() => this.update());
    this.update();
  }

  // No key acts on it any more.
  close() {
    if (active === this) active = null;
  }

  get isActive() { return active === this; }

  // What is told of the frame that is on the screen.
  update() {
    const { clock, parts } = this;
    const frame = this.show.shown >= 0 && clock.playing ? this.show.shown : clock.frame;
    parts.timeline.update(clock, frame);
    if (document.activeElement !== parts.frame) parts.frame.value = frame;
    parts.last.textContent = `/ ${clock.frames - 1}`;
    parts.code.textContent = timecode(frame, clock.rate);
    parts.play.textContent = clock.playing ? "Pause" : "Play";
    const speed = String(Math.abs(clock.speed));
    if (clock.playing && SPEEDS.includes(Number(speed))) parts.speed.value = speed;
    parts.loop.setAttribute("aria-pressed", clock.loop);
    parts.in.setAttribute("aria-pressed", clock.from !== null);
    parts.out.setAttribute("aria-pressed", clock.to !== null);
    this.#tellZoom();
    const dropped = this.show.dropped;
    parts.dropped.textContent = dropped ? `${dropped} left out` : "";
  }

  play() {
    if (this.clock.playing) this.clock.pause();
    else this.clock.play(this.clock.direction * Number(this.parts.speed.value));
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.screen.requestFullscreen?.();
  }

  toggleZoom() {
    this.zoom.set({ zoom: this.zoom.zoom === "fit" ? 1 : "fit" });
  }

  #build() {
    const { clock, bar } = this;
    const parts = { timeline: new Timeline(clock) };
    this.parts = parts;
    const key = (label, name, act) => button(label, name, act);
    parts.play = key("Play", "Play or pause (Space)", () => this.play());
    parts.frame = field("Frame", (value) => clock.seek(value));
    parts.last = text("last");
    parts.code = text("code mono");
    parts.code.title = "Timecode: hours, minutes, seconds, frames; no frames are dropped from the count";
    parts.dropped = text("dropped muted");
    parts.dropped.title = "Frames that this machine could not show in time since the page was opened";
    parts.speed = choice("Speed", SPEEDS.map((speed) => [speed, `${speed}×`]), (value) => {
      if (clock.playing) clock.play(Math.sign(clock.speed) * Number(value));
    });
    parts.speed.value = "1";
    parts.in = key("In", "In point at this frame (i)", () => clock.setIn());
    parts.out = key("Out", "Out point at this frame (o)", () => clock.setOut());
    parts.loop = key("Loop", "Loop (r)", () => clock.setLoop(!clock.loop));
    parts.zoom = choice("Zoom", ZOOMS, (value) => this.zoom.set({ zoom: value === "fit" ? value : Number(value) }));
    bar.append(
      parts.timeline.element,
      key("⇤", "To the first frame (Home)", () => clock.seek(clock.range[0])),
      key("‹", "One frame back (,)", () => clock.step(-1)),
      parts.play,
      key("›", "One frame on (.)", () => clock.step(1)),
      key("⇥", "To the last frame (End)", () => clock.seek(clock.range[1])),
      parts.frame, parts.last, parts.code, parts.speed, parts.in, parts.out, parts.loop,
      parts.zoom, key("Full screen", "Full screen (f)", () => this.fullScreen()), parts.dropped,
    );
  }

  #tellZoom() {
    const { zoom } = this.parts;
    const value = String(this.zoom.zoom);
    let other = zoom.querySelector("[data-other]");
    if (![...zoom.options].some((one) => one.value === value && one !== other)) {
      other ??= zoom.appendChild(Object.assign(document.createElement("option"), { hidden: true }));
      other.dataset.other = "";
      other.value = value;
      other.textContent = `${Math.round(this.zoom.zoom * 100)} %`;
    }
    zoom.value = value;
  }
}

function button(label, name, act) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: label, title: name });
  made.setAttribute("aria-label", name);
  made.addEventListener("click", act);
  made.addEventListener("mousedown", (event) => event.preventDefault()); // Space stays the player's
  return made;
}

function text(classes) {
  return Object.assign(document.createElement("span"), { className: classes });
}

function field(name, act) {
  const made = Object.assign(document.createElement("input"), { className: "frame mono", inputMode: "numeric" });
  made.setAttribute("aria-label", name);
  made.addEventListener("change", () => act(Number(made.value)));
  made.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === "Escape") made.blur(); });
  return made;
}

function choice(name, values, act) {
  const made = document.createElement("select");
  made.setAttribute("aria-label", name);
  made.title = name;
  for (const [value, label] of values) made.append(new Option(label, value));
  made.addEventListener("change", () => { act(made.value); made.blur(); });
  return made;
}

// A second, at least ten frames.
const jump = (clock) => Math.max(10, Math.round(clock.rate[0] / clock.rate[1]));

const KEYS = [
  [" ", "Play or pause", (at) => at.play()],
  [".", "One frame on", (at) => at.clock.step(1)],
  [",", "One frame back", (at) => at.clock.step(-1)],
  [">", "A second on", (at) => at.clock.step(jump(at.clock))],
  ["<", "A second back", (at) => at.clock.step(-jump(at.clock))],
  ["j", "Play backwards; again: twice as fast", (at) => at.clock.shuttle(-1)],
  ["k", "Pause", (at) => at.clock.pause()],
  ["l", "Play forwards; again: twice as fast", (at) => at.clock.shuttle(1)],
  ["Home", "To the first frame, or the in point", (at) => at.clock.seek(at.clock.range[0])],
  ["End", "To the last frame, or the out point", (at) => at.clock.seek(at.clock.range[1])],
  ["i", "In point at this frame", (at) => at.clock.setIn()],
  ["o", "Out point at this frame", (at) => at.clock.setOut()],
  ["\\", "Remove the in and out point", (at) => at.clock.clearPoints()],
  ["r", "Loop, or stop at the end", (at) => at.clock.setLoop(!at.clock.loop)],
  ["z", "100 %, or fitted", (at) => at.toggleZoom()],
  ["+", "Enlarge", (at) => at.view().zoomBy(1.25)],
  ["-", "Make smaller", (at) => at.view().zoomBy(0.8)],
  ["f", "Full screen", (at) => at.fullScreen()],
];

function bindKeys() {
  if (bound) return;
  bound = true;
  for (const [key, sentence, act] of KEYS) {
    bind(key, sentence, (event) => {
      const onButton = key === " " && event.target.closest("button, a, summary");
      if (!active || onButton) return false;
      return act(active);
    });
  }
}
