// The field of tiles: as high as all of them, with elements only for those near the window.
// `ids` are in the order of the wall and come a page at a time; tiles come by their ids.
import { keepMarks } from "../actions-state.js";
import { get } from "../post.js";
import { search, tilesOf } from "./server.js";

const SPARE_ROWS = 3;
const MOST_KEPT = 800;
const AHEAD_ROWS = 14;
const AT_ONCE = 100;

export class Field {
  constructor(root, wall) {
    this.root = root;
    this.total = Number(wall.dataset.total);
    this.next = wall.dataset.next || null;
    this.ids = [];
    this.kept = new Map(); // id -> its element, the last used last
    this.shown = new Map(); // index -> the element on the screen
    this.index = new Map();
    this.changed = () => {};
    for (const tile of [...root.children]) this.#take(tile);
    this.#add([...root.children].map((tile) => tile.dataset.run));
    this.#addMore(this.total === this.ids.length ? null : this.next);
    root.classList.add("is-live");
    this.resizing = new ResizeObserver(() => { if (this.#measure()) this.draw(); });
    this.resizing.observe(root);
    this.scrolling = () => { this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); }); };
    addEventListener("scroll", this.scrolling, { passive: true });
    this.#measure();
    this.draw();
  }

  leave() {
    this.left = true;
    this.resizing.disconnect();
    removeEventListener("scroll", this.scrolling);
  }

  // The element of a run, if it is on the screen or was lately.
  element(id) { return this.kept.get(id); }

  // Fetches ids until the one at this place is known; "all" for all of them.
  async reach(index) {
    while (!this.left && this.next && (index === "all" || this.ids.length <= index)) await this.#more();
  }

  draw() {
    if (this.left) return;
    const { first, last } = this.#window();
    if (first !== this.first) this.upwards = first < (this.first ?? 0);
    this.first = first;
    for (const [index, element] of this.shown) {
      const gone = index < first || index > last || (element.dataset.run ?? "") !== (this.#known(index) ?? "");
      if (gone) { element.remove(); this.shown.delete(index); }
    }
    let after = null;
    for (let index = last; index >= first; index -= 1) {
      const there = this.shown.get(index);
      const element = there ?? this.#place(index);
      if (!there) this.root.insertBefore(element, after);
      after = element;
    }
    this.changed();
    this.#fetch(first, last);
  }

  // The places whose tiles are needed: first those on the screen, then those one is scrolling to.
  * #needed(first, last) {
    for (let index = first; index <= last; index += 1) yield index;
    const ahead = AHEAD_ROWS * this.columns;
    for (let n = 1; n <= ahead; n += 1) yield this.upwards ? first - n : last + n;
  }

  // Puts a new element of a run in the place of its old one.
  replace(element) {
    const old = this.kept.get(element.dataset.run);
    this.#take(element);
    if (old) this.#like(old, element);
    const index = this.index.get(element.dataset.run);
    if (this.shown.get(index) === old && old) {
      this.#position(element, index);
      const focused = old.contains(document.activeElement);
      old.replaceWith(element);
      this.shown.set(index, element);
      if (focused) element.focus({ preventScroll: true });
    }
    this.changed();
  }

  // Scrolls as little as needed to show the tile; "center" puts it in the middle.
  reveal(index, block = "nearest") {
    const top = this.top() + Math.floor(index / this.columns) * this.pitch;
    const head = document.querySelector(".wall-bar")?.getBoundingClientRect().bottom ?? 0;
    const above = Math.max(0, Math.min(head, innerHeight / 3)) + 8;
    const below = innerHeight - this.pitch - 8;
    if (block === "center") scrollTo(0, top - (innerHeight - this.pitch) / 2);
    else if (top - scrollY < above) scrollTo(0, top - above);
    else if (top - scrollY > below) scrollTo(0, top - below);
    this.draw();
  }

  top() { return this.root.getBoundingClientRect().top + scrollY; }

  #measure() {
    const style = getComputedStyle(this.root);
    const [least, gap, words] = ["--tile-least", "--tile-gap", "--words-height"].map((name) => parseFloat(style.getPropertyValue(name)));
    const width = this.root.clientWidth;
    if (width === this.width) return false;
    this.width = width;
    this.columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
    this.tile = Math.floor((width - gap * (this.columns - 1)) / this.columns);
    const picture = Math.round(this.tile * 9 / 16);
    this.pitch = picture + words + gap + 2;
    this.step = this.tile + gap;
    this.root.style.setProperty("--tile-width", `${this.tile}px`);
    this.root.style.setProperty("--picture-height", `${picture}px`);
    this.root.style.setProperty("--tile-height", `${picture + words + 2}px`);
    this.root.style.height = `${Math.ceil(this.total / this.columns) * this.pitch}px`;
    for (const [index, element] of this.shown) this.#position(element, index);
    return true;
  }

  #window() {
    const top = -this.root.getBoundingClientRect().top;
    const from = Math.floor(top / this.pitch) - SPARE_ROWS;
    const to = Math.ceil((top + innerHeight) / this.pitch) + SPARE_ROWS;
    const first = Math.max(0, from) * this.columns;
    return { first, last: Math.min(this.total, Math.max(0, to) * this.columns) - 1 };
  }

  #known(index) {
    const id = this.ids[index];
    return id && this.kept.has(id) ? id : null;
  }

  #place(index) {
    const id = this.#known(index);
    let element;
    if (id) {
      element = this.kept.get(id);
      this.kept.delete(id);
      this.kept.set(id, element);
    } else {
      element = document.createElement("div");
      element.className = "tile is-empty";
      element.setAttribute("aria-hidden", "true");
    }
    this.#position(element, index);
    this.shown.set(index, element);
    return element;
  }

  #position(element, index) {
    const x = (index % this.columns) * this.step;
    const y = Math.floor(index / this.columns) * this.pitch;
    element.style.transform = `translate(${x}px, ${y}px)`;
    if (!element.dataset.run) return;
    element.setAttribute("aria-posinset", index + 1);
    element.setAttribute("aria-setsize", this.total);
  }

  #take(element) {
    this.kept.delete(element.dataset.run);
    this.kept.set(element.dataset.run, element);
    for (const [id, old] of this.kept) {
      if (this.kept.size <= MOST_KEPT) break;
      if (!old.isConnected) this.kept.delete(id);
    }
  }

  #like(old, element) {
    element.tabIndex = old.tabIndex;
    keepMarks(old, element);
    if (old.hasAttribute("aria-current")) element.setAttribute("aria-current", "true");
  }

  #add(ids) {
    for (const id of ids) {
      if (this.index.has(id)) continue;
      this.index.set(id, this.ids.length);
      this.ids.push(id);
    }
  }

  #addMore(next) {
    this.next = next;
    if (next || this.total === this.ids.length) return;
    this.total = this.ids.length; // runs came or went since they were counted
    if (this.columns) this.root.style.height = `${Math.ceil(this.total / this.columns) * this.pitch}px`;
  }

  async #more() {
    this.asking ??= get(`/cosmos/wall/ids${search({ after: this.next })}`).finally(() => { this.asking = null; });
    const page = await this.asking;
    if (this.left || page?.next === this.next) return;
    if (!page) { this.next = null; return; }
    this.#add(page.ids);
    this.#addMore(page.next);
    this.draw();
  }

  async #fetch(first, last) {
    if (this.fetching) return;
    if (this.next && this.ids.length <= last + AT_ONCE) this.#more();
    const missing = [];
    let visible = false;
    for (const index of this.#needed(first, last)) {
      const id = this.ids[index];
      if (!id || this.kept.has(id)) continue;
      missing.push(id);
      visible ||= index >= first && index <= last;
      if (missing.length === AT_ONCE) break;
    }
    if (!missing.length || (!visible && missing.length < AT_ONCE / 2)) return;
    this.fetching = true;
    const tiles = await tilesOf(missing);
    this.fetching = false;
    if (!tiles || this.left) return;
    for (const id of missing) this.#take(tiles.get(id) ?? goneTile(id));
    this.draw();
  }
}

// A tile that says that its run is not there any more.
export function goneTile(id) {
  const element = document.createElement("div");
  element.className = "tile is-gone";
  element.dataset.gone = id;
  element.dataset.run = id;
  element.tabIndex = -1;
  element.setAttribute("role", "listitem");
  element.setAttribute("aria-label", "This run was deleted.");
  const line = Object.assign(document.createElement("p"), { className: "tile-line", textContent: "This run was deleted." });
  element.append(Object.assign(document.createElement("div"), { className: "tile-picture" }));
  element.firstChild.append(line);
  return element;
}
