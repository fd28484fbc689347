// Players declared in a page: <div data-player data-sources='[{name, label, url, poster, frames, fps,
// width, height, trouble}]'></div>. One picture; `[` and `]` show another source at the same frame.
// `data-frame` is the frame to begin with. An element has `player` (clock, show) once it is mounted, and gets
// the event `player:frame` (detail: {frame, source}) with each frame that it shows.
import { bind } from "../keys.js";
import { Clock } from "./clock.js";
import { INEXACT, EXACT } from "./reel.js";
import { Show } from "./show.js";
import { Transport } from "./transport.js";
import { View, Zoom } from "./view.js";

const players = new Set();

class Player {
  constructor(element) {
    this.element = element;
    this.clock = new Clock();
    const zoom = new Zoom();
    this.#build();
    const sources = read(element.dataset.sources);
    this.show = new Show(this.clock, sources, {
      draw: (frame, reels) => this.#draw(frame, reels[0]),
      told: (what) => this.#told(what),
    });
    this.view = new View(this.canvas, zoom, () => this.show.repaint());
    zoom.onChange(() => this.show.refresh());
    this.bar = new Transport(this.controls, {
      clock: this.clock, zoom, screen: element, show: this.show, view: () => this.view,
    });
    this.#buildSwitch();
    this.pick(0);
    if (element.dataset.frame) this.start = Number(element.dataset.frame);
  }

  get reels() { return this.show.reels; }
  get source() { return this.reels[this.index]; }

  // Shows another source at the same frame; the picture stays until the new one is there.
  pick(index) {
    if (this.reels.length === 0) return this.#say("There is no video.");
    this.index = (index + this.reels.length) % this.reels.length;
    this.show.see([this.source]);
    for (const [i, choice] of this.choices.entries()) choice.setAttribute("aria-pressed", i === this.index);
    this.#told("picked");
  }

  close() {
    this.show.close();
    this.view.close();
    this.bar.close();
    players.delete(this);
  }

  #build() {
    const make = (tag, name) => Object.assign(document.createElement(tag), { className: name });
    this.stage = make("div", "player-stage");
    this.poster = Object.assign(make("img", "player-poster"), { alt: "" });
    this.canvas = make("canvas", "player-canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.classList.add("is-waiting");
    this.trouble = make("p", "player-trouble");
    this.note = Object.assign(make("p", "player-note muted"), { textContent: INEXACT, hidden: EXACT });
    this.trouble.setAttribute("role", "status");
    this.stage.append(this.poster, this.canvas, this.trouble);
    this.switcher = make("div", "player-switch");
    this.controls = make("div", "");
    this.element.classList.add("player");
    this.element.replaceChildren(this.switcher, this.stage, this.controls, this.note);
  }

  #buildSwitch() {
    this.switcher.setAttribute("role", "group");
    this.switcher.setAttribute("aria-label", "Source");
    this.choices = this.reels.map(({ source }, i) => {
      const choice = Object.assign(document.createElement("button"), { type: "button", textContent: source.label ?? source.name });
      choice.addEventListener("click", () => this.pick(i));
      choice.addEventListener("mousedown", (event) => event.preventDefault());
      return choice;
    });
    this.switcher.append(...this.choices);
    this.switcher.hidden = this.reels.length < 2;
  }

  #draw(frame, reel) {
    const { n, ended } = reel.at(frame, this.clock.rate);
    this.view.draw(reel.picture(frame, this.clock.rate), reel, { base: this.reels[0].width, playing: this.clock.playing });
    this.canvas.classList.remove("is-waiting");
    this.canvas.setAttribute("aria-label", `${reel.source.label ?? reel.source.name}, frame ${n}`);
    this.#say(ended ? `Ended at frame ${reel.frames - 1}.` : reel.note);
    this.drawnSource = reel.source.name;
    this.poster.hidden = true;
  }

  #told(what) {
    if (what === "ready" && this.start !== undefined) {
      this.clock.seek(this.start);
      this.start = undefined;
    }
    const { source } = this;
    if (what === "frame") {
      const detail = { frame: this.show.shown, source: this.drawnSource };
      this.element.dispatchEvent(new CustomEvent("player:frame", { detail, bubbles: true }));
    } else if (source?.state === "failed") {
      this.#say(source.trouble);
      this.canvas.classList.add("is-waiting");
    }
    this.#showPoster(source?.source.poster);
    this.bar?.update();
  }

  // It lies below the canvas: seen until the first frame, and when there is none.
  #showPoster(url) {
    if (url && this.poster.getAttribute("src") !== url) this.poster.src = url;
    this.poster.hidden = !url || !this.canvas.classList.contains("is-waiting");
  }

  #say(sentence) {
    if (this.trouble.textContent !== sentence) this.trouble.textContent = sentence;
    this.trouble.hidden = !sentence;
  }
}

function read(text) {
  try {
    return JSON.parse(text || "[]");
  } catch {
    return [{ name: "video", label: "Video", trouble: "The page does not say which video this is." }];
  }
}

// Mounts the players below `root`, and ends those that have left the page.
export function mount(root = document) {
  for (const player of [...players]) if (!player.element.isConnected) player.close();
  for (const element of root.querySelectorAll("[data-player]")) {
    if (element.player) continue;
    element.player = new Player(element);
    players.add(element.player);
  }
}

const used = () => [...players].find((player) => player.bar.isActive) ?? [...players][0];
const turn = (by) => {
  const player = used();
  if (!player || player.reels.length < 2) return false;
  return player.pick(player.index + by);
};

document.body.addEventListener("htmx:afterSettle", () => mount());
bind("]", "Next source at the same frame (result, colour, depth ...)", () => turn(1));
bind("[", "Source before at the same frame", () => turn(-1));
mount();
