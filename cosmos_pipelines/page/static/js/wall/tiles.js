// Keys and clicks on tiles: one is the current one, some are selected.
import { onChange, select, selected, setCurrent } from "../selection.js";
import { say } from "../toast.js";

const rows = (field) => Math.max(1, Math.floor(innerHeight / field.pitch) - 1);

export class Tiles {
  constructor() {
    document.addEventListener("click", (event) => this.click(event), true);
    document.addEventListener("focusin", (event) => this.focus(event));
    this.chosen = new Set(selected());
    onChange((ids) => { this.chosen = new Set(ids); this.mark(); });
  }

  enter(field) {
    this.field = field;
    this.at = null;
    this.from = null;
    field.setCurrent = (index) => this.set(index, { focus: false });
    this.drawn();
  }

  get live() { return this.field && !this.field.left; }

  // After tiles came or went: the current one is marked, and one can be reached by Tab.
  drawn() {
    if (!this.live) return;
    for (const [index, element] of this.field.shown) {
      const current = index === this.at;
      element.tabIndex = current ? 0 : -1;
      if (current && element.dataset.run) setCurrent(element);
    }
    if (!this.field.shown.get(this.at)?.dataset.run) {
      const first = [...this.field.shown].filter(([, e]) => e.dataset.run).sort(([a], [b]) => a - b)[0];
      if (first) first[1].tabIndex = 0;
    }
    if (this.wanted && this.field.shown.get(this.at)?.dataset.run) {
      this.wanted = false;
      this.field.shown.get(this.at).focus({ preventScroll: true });
    }
    this.mark();
  }

  set(index, { focus = true } = {}) {
    const { field } = this;
    this.at = index;
    field.current = field.ids[index] ?? null;
    if (focus) { this.wanted = true; field.reveal(index); }
    this.drawn();
    if (!field.ids[index] && field.next) field.reach(index).then(() => { if (this.at === index) this.set(index, { focus }); });
  }

  // Goes so many tiles right and rows down; "window" and "-window" are as many rows as one sees.
  step(right, down) {
    const { field } = this;
    if (!field.total) return false;
    if (this.at === null) { this.set(this.#firstVisible()); return true; }
    const whole = typeof down === "string";
    const by = right + field.columns * (whole ? rows(field) * (down === "window" ? 1 : -1) : down);
    const to = this.at + by;
    const last = field.total - 1;
    if (whole || (to >= 0 && to <= last)) this.set(Math.min(last, Math.max(0, to)));
    return true;
  }

  jump(index) {
    if (!this.field.total) return false;
    this.set(index < 0 ? this.field.total - 1 : index);
    return true;
  }

  open() {
    const tile = this.at === null ? null : this.field.element(this.field.ids[this.at]);
    if (!tile || tile.dataset.gone) return false;
    tile.querySelector(".tile-title").click();
    return true;
  }

  toggle() {
    if (!this.field.total) return false;
    if (this.at === null) this.set(this.#firstVisible());
    this.#toggle(this.at);
    return true;
  }

  async all() {
    const { field } = this;
    await field.reach("all");
    if (field.left) return;
    select(field.ids);
    say(`${field.ids.length.toLocaleString("en")} ${field.ids.length === 1 ? "tile is" : "tiles are"} selected. Escape selects none.`);
  }

  click(event) {
    const tile = this.live && event.target.closest("#field [data-run]");
    if (!tile || event.target.closest(".stack, .tile-why")) return;
    const index = this.field.index.get(tile.dataset.run);
    const box = event.target.closest(".tile-select");
    if (event.shiftKey) {
      event.preventDefault();
      event.stopPropagation();
      getSelection().removeAllRanges();
      const from = this.from ?? this.at ?? index;
      select(this.field.ids.slice(Math.min(from, index), Math.max(from, index) + 1));
      this.set(index);
    } else if (box) {
      this.#toggle(index);
      this.set(index, { focus: false });
    } else if (!event.target.closest("a")) {
      this.set(index);
    }
  }

  focus(event) {
    const tile = this.live && event.target.closest("#field [data-run]");
    const index = tile ? this.field.index.get(tile.dataset.run) : undefined;
    if (index !== undefined && index !== this.at) this.set(index, { focus: false });
  }

  // Tiles that came just now, and their boxes, say whether they are selected.
  mark() {
    if (!this.live) return;
    for (const element of this.field.shown.values()) {
      const id = element.dataset.run;
      if (!id) continue;
      element.toggleAttribute("data-selected", this.chosen.has(id));
      const box = element.querySelector(".tile-select");
      if (box) box.checked = this.chosen.has(id);
    }
  }

  #toggle(index) {
    const id = this.field.ids[index];
    if (!id) return;
    this.from = index;
    select([id], !this.chosen.has(id));
  }

  #firstVisible() {
    const visible = [...this.field.shown].filter(([, e]) => e.getBoundingClientRect().top >= 0);
    return visible.length ? Math.min(...visible.map(([index]) => index)) : 0;
  }
}
