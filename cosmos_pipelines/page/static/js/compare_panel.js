// The controls of a comparison: mode, pair, gain, angle, what is said of lengths and rates; its keys.
import { bind } from "./keys.js";
import { MODES } from "./compare_url.js";
import { EXACT, INEXACT } from "./player/reel.js";
import { setCurrent } from "./selection.js";

export class Panel {
  constructor(comparison) {
    this.comparison = comparison;
    this.root = comparison.root;
    const at = (selector) => this.root.querySelector(selector);
    this.parts = { gain: at("#gain"), value: at("#gain-value"), angle: at("#angle"), lined: at("#lined-up") };
    Object.assign(at("#inexact"), { textContent: INEXACT, hidden: EXACT });
    for (const button of this.root.querySelectorAll("[data-mode]:is(button)")) {
      press(button, () => comparison.set({ mode: button.dataset.mode }));
    }
    press(at("#swap"), () => this.swap());
    this.parts.gain.addEventListener("input", () => comparison.set({ gain: Number(this.parts.gain.value) }));
    this.parts.gain.addEventListener("change", () => this.parts.gain.blur());
    this.parts.angle.addEventListener("change", () => {
      comparison.set({ angle: Number(this.parts.angle.value) });
      this.parts.angle.blur();
    });
    for (const [i, tile] of comparison.tiles.entries()) {
      for (const side of ["a", "b"]) press(tile.querySelector(`[data-pick=${side}]`), () => this.pick(side, i));
      tile.addEventListener("pointerdown", () => { if (tile.dataset.run) setCurrent(tile); });
    }
    setCurrent(comparison.tiles.find((tile) => tile.dataset.run) ?? null);
    this.#keys();
  }

  update() {
    const { mode, a, b, gain, angle } = this.comparison.state;
    const on = (element, pressed) => element.setAttribute("aria-pressed", pressed);
    for (const button of this.root.querySelectorAll("[data-mode]:is(button)")) on(button, button.dataset.mode === mode);
    for (const [i, tile] of this.comparison.tiles.entries()) {
      on(tile.querySelector("[data-pick=a]"), i === a);
      on(tile.querySelector("[data-pick=b]"), i === b);
    }
    this.parts.gain.value = gain;
    this.parts.value.textContent = `${gain}×`;
    const choice = [...this.parts.angle.options].find((one) => Number(one.value) === angle);
    if (!choice) this.parts.angle.append(new Option(`${angle}°`, angle));
    this.parts.angle.value = angle;
    const tiles = this.root.querySelector("#tiles");
    const count = this.comparison.tiles.length;
    tiles.style.setProperty("--columns", count <= 3 ? count : count === 4 ? 2 : 3);
  }

  // Says which lengths, rates and sizes differ, and what is done about it.
  lineUp() {
    const ready = this.comparison.reels.filter((reel) => reel.state === "ready");
    const told = (values) => [...new Set(values)].sort((x, y) => x - y);
    const rates = told(ready.map(({ rate }) => Math.round((1000 * rate[0]) / rate[1]) / 1000));
    const lengths = told(ready.map((reel) => reel.frames));
    const widths = told(ready.map((reel) => reel.width));
    const said = [];
    if (rates.length > 1) said.push(`${rates.join(" and ")} frames a second: lined up by time, counted at ${rates.at(-1)}.`);
    if (lengths.length > 1) said.push(`${lengths.join(" and ")} frames: after its end a video shows its last frame.`);
    if (widths.length > 1) said.push(`Widths of ${widths.join(" and ")}: shown at one size.`);
    this.comparison.mixed = rates.length > 1;
    this.parts.lined.textContent = said.join(" ");
  }

  pick(side, index) {
    const { state, tiles } = this.comparison;
    const other = side === "a" ? "b" : "a";
    const count = tiles.length;
    const to = ((index % count) + count) % count;
    this.comparison.set(state[other] === to ? { [side]: to, [other]: state[side] } : { [side]: to });
  }

  swap() {
    const { a, b } = this.comparison.state;
    this.comparison.set({ a: b, b: a });
  }

  // The next video that is not the other one of the pair.
  #turn(side, by) {
    const { state, tiles } = this.comparison;
    const other = state[side === "a" ? "b" : "a"];
    let to = state[side] + by;
    if ((to + tiles.length) % tiles.length === other) to += by;
    this.pick(side, to);
  }

  #keys() {
    const { comparison } = this;
    const mode = (by) => {
      const at = MODES.indexOf(comparison.state.mode) + by;
      comparison.set({ mode: MODES[(at + MODES.length) % MODES.length] });
    };
    const gain = (by) => {
      if (comparison.state.mode !== "difference") return false;
      return comparison.set({ gain: Math.min(16, Math.max(1, comparison.state.gain * by)) });
    };
    bind("b", "A or B at the same frame", () => comparison.flip());
    bind("m", "Next way to compare: side by side, wipe, difference, A/B, wall", () => mode(1));
    bind("M", "Way to compare before", () => mode(-1));
    bind("y", "Swap A and B", () => this.swap());
    bind("]", "Next video as B", () => this.#turn("b", 1));
    bind("[", "Video before as B", () => this.#turn("b", -1));
    bind("}", "Next video as A", () => this.#turn("a", 1));
    bind("{", "Video before as A", () => this.#turn("a", -1));
    bind("PageUp", "Difference: twice the gain", () => gain(2));
    bind("PageDown", "Difference: half the gain", () => gain(0.5));
  }
}

// A click by the pointer leaves the keys to the player.
function press(button, act) {
  button.addEventListener("click", act);
  button.addEventListener("mousedown", (event) => event.preventDefault());
}
