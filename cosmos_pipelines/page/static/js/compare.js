// Compare: two to nine videos on one clock. The address is the state.
import { Panel } from "./compare_panel.js";
import { Stage } from "./compare_stage.js";
import { readState, writeState } from "./compare_url.js";
import { Clock } from "./player/clock.js";
import { Show } from "./player/show.js";
import { Transport } from "./player/transport.js";
import { View, Zoom } from "./player/view.js";
import { setCurrent } from "./selection.js";

const ADDRESS_MS = 250; // browsers refuse an address that changes faster than some 7 times a second

class Comparison {
  #asked = 0;

  constructor(root) {
    this.root = root;
    this.tiles = [...root.querySelectorAll(".tile")];
    this.videos = this.tiles.map((tile) => JSON.parse(tile.dataset.video));
    this.state = readState(location.search, this.videos.length);
    this.clock = new Clock();
    this.zoom = new Zoom();
    this.#restore();
    this.show = new Show(this.clock, this.videos, {
      draw: (frame, reels) => this.#draw(frame, reels), told: (what, reel) => this.#told(what, reel),
    });
    const repaint = () => this.show.repaint();
    this.views = this.tiles.map((tile) => new View(tile.querySelector("canvas"), this.zoom, repaint));
    this.stage = new Stage(root.querySelector("#stage"), this.zoom, {
      state: () => this.state, change: (values) => this.set(values), repaint,
    });
    this.bar = new Transport(root.querySelector("#transport"), {
      clock: this.clock, zoom: this.zoom, screen: root, show: this.show, view: () => this.view,
    });
    this.panel = new Panel(this);
    this.zoom.onChange(({ zoom, x, y }) => { Object.assign(this.state, { zoom, x, y }); repaint(); this.#address(); });
    this.clock.onChange(() => this.#address());
    for (const [i, reel] of this.reels.entries()) this.tiles[i].classList.toggle("is-failed", reel.state === "failed");
    this.set({});
    this.#current(this.state.mode === "toggle" ? this.state[this.state.shown] : this.state.a);
    for (const link of document.querySelectorAll("a[data-keep]")) link.addEventListener("click", (event) => this.#keep(event));
  }

  get reels() { return this.show.reels; }
  get pair() { return { a: this.reels[this.state.a], b: this.reels[this.state.b] }; }
  get onStage() { return ["wipe", "difference", "toggle"].includes(this.state.mode); }

  // The view that keys enlarge.
  get view() {
    if (this.onStage) return this.stage.view;
    const at = this.tiles.findIndex((tile) => tile.getAttribute("aria-current") === "true" && tile.classList.contains("is-shown"));
    return this.views[at >= 0 ? at : this.state.a];
  }

  // Changes what is shown; the picture is there again before the browser paints.
  set(values) {
    Object.assign(this.state, values);
    const { mode, a, b } = this.state;
    this.root.dataset.mode = mode;
    for (const [i, tile] of this.tiles.entries()) {
      tile.classList.toggle("is-shown", mode === "wall" || (mode === "side" && (i === a || i === b)));
      tile.classList.toggle("is-a", i === a);
      tile.classList.toggle("is-b", i === b);
    }
    this.panel.update();
    this.show.see(mode === "wall" ? this.reels : [this.pair.a, this.pair.b]);
    if (mode === "toggle" && "shown" in values) this.#current(this.state[this.state.shown]);
    for (const view of [this.stage.view, ...this.views]) view.fit();
    this.show.repaint();
    this.#address();
  }

  // A/B: the other one, of the same frame.
  flip() {
    const { mode, shown } = this.state;
    this.set(mode === "toggle" ? { shown: shown === "a" ? "b" : "a" } : { mode: "toggle", shown: "b" });
  }

  #restore() {
    const { zoom, x, y, loop } = this.state;
    this.zoom.set({ zoom, x, y });
    this.clock.setLoop(loop);
  }

  // Frame and points of the address hold once the length is known.
  #begin() {
    if (this.begun || this.reels.some((reel) => this.show.visible.has(reel) && reel.state === "opening")) return;
    this.begun = true;
    const { frame, from, to } = this.state;
    if (from !== null && from < this.clock.frames) this.clock.setIn(from);
    if (to !== null && to < this.clock.frames) this.clock.setOut(to);
    this.clock.seek(frame);
  }

  #draw(frame, reels) {
    const { rate, playing } = this.clock;
    const first = this.reels.find((reel) => reel.state === "ready");
    const base = { width: first.width, height: first.height };
    for (const reel of reels) this.#mark(reel, frame);
    if (this.onStage) {
      const told = (reel) => reel.state === "ready" && {
        picture: reel.picture(frame, rate), title: reel.source.title, mark: this.#markOf(reel, frame),
      };
      this.stage.paint(told(this.pair.a) || null, told(this.pair.b) || null, base, playing);
    } else {
      for (const reel of reels) {
        const i = this.reels.indexOf(reel);
        this.views[i].draw(reel.picture(frame, rate), reel, { base: base.width, playing });
        this.views[i].canvas.classList.remove("is-waiting");
      }
    }
  }

  #markOf(reel, frame) {
    const { n, ended } = reel.at(frame, this.clock.rate);
    const at = ended ? `ended at frame ${n}` : this.mixed && `frame ${n}`;
    return [at, reel.note].filter(Boolean).join(", ");
  }

  #mark(reel, frame) {
    const tile = this.tiles[this.reels.indexOf(reel)];
    const mark = tile.querySelector(".tile-mark");
    const text = this.#markOf(reel, frame);
    if (mark.textContent !== text) mark.textContent = text;
    tile.classList.toggle("is-ended", text.startsWith("ended"));
  }

  #told(what, reel) {
    if (what === "frame") {
      this.bar?.update();
      return;
    }
    if (what === "failed") this.#fail(reel);
    this.#begin();
    this.panel.lineUp();
    this.show.repaint();
  }

  #fail(reel) {
    const tile = this.tiles[this.reels.indexOf(reel)];
    const line = tile.querySelector(".player-trouble");
    line.textContent = reel.trouble;
    line.hidden = false;
    tile.classList.add("is-failed");
    tile.querySelector("canvas").classList.add("is-waiting");
  }

  #current(index) {
    const tile = this.tiles[index];
    if (tile?.dataset.run) setCurrent(tile);
  }

  get query() {
    const { loop, from, to } = this.clock;
    const frame = this.begun ? this.clock.frame : this.state.frame;
    const points = this.begun ? { from, to } : {};
    return writeState({ ...this.state, frame, loop, ...points }, this.videos.map((video) => video.name));
  }

  #address() {
    if (this.#asked) return;
    this.#asked = setTimeout(() => {
      this.#asked = 0;
      if (!this.clock.playing) history.replaceState(history.state, "", `?${this.query}`);
    }, ADDRESS_MS);
  }

  // A link to the comparison with one video more or less keeps all but the videos.
  #keep(event) {
    const link = event.currentTarget;
    const to = new URL(link.href);
    const names = to.searchParams.getAll("v");
    const now = new URLSearchParams(this.query);
    for (const name of ["v", "a", "b"]) now.delete(name);
    to.search = new URLSearchParams([...names.map((name) => ["v", name]), ...now]).toString();
    link.href = to.href;
  }
}

const root = document.querySelector("#compare");
if (root) root.comparison = new Comparison(root);
