// Rows that are made only while they can be seen. What is scrolled is a number of rows, not of pixels:
// millions of rows are higher than a browser can scroll, so that a pixel of its bar may be many rows.
const ROW = 18; // pixels, as in log.css
const HIGHEST = 8_000_000; // pixels; browsers end at 16 to 33 million

export class Rows {
  // count() of rows, make(i) gives the element of a row or null, need(from, to) loads rows.
  constructor(scroll, { count, make, need, onScroll }) {
    this.scroll = scroll;
    this.space = scroll.querySelector("[data-log-space]");
    this.view = scroll.querySelector("[data-log-rows]");
    this.inner = document.createElement("div");
    this.inner.className = "log-inner";
    this.view.append(this.inner);
    Object.assign(this, { count, make, need, onScroll, top: 0, atEnd: true, drawn: 0 });
    scroll.addEventListener("scroll", () => this.#scrolled());
    scroll.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    scroll.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.draw()).observe(scroll);
    document.addEventListener("selectionchange", () => { if (this.held && !this.#selecting()) this.draw(); });
  }

  get fits() { return Math.max(1, Math.floor(this.scroll.clientHeight / ROW)); }
  get most() { return Math.max(0, this.count() - this.fits); }

  // Pixels of the bar for one row: ROW, or less where there are too many rows.
  get #pixels() { return Math.min(ROW, HIGHEST / Math.max(1, this.count())); }

  go(top) {
    this.atEnd = top >= this.most;
    this.top = Math.max(0, Math.min(top, this.most));
    this.draw();
  }

  end() { this.go(this.most); }

  show(row) { this.go(Math.max(0, row - Math.floor(this.fits / 3))); }

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.#draw(); });
  }

  #draw() {
    const height = this.scroll.clientHeight;
    if (!height) return;
    this.held = this.#selecting();
    if (this.held) return; // who marks a line keeps it until it is copied
    if (this.atEnd) this.top = this.most;
    this.view.style.height = `${height}px`;
    this.space.style.height = `${height + this.most * this.#pixels}px`;
    const at = this.top * this.#pixels;
    if (Math.abs(this.scroll.scrollTop - at) >= 1) { this.#moving = true; this.scroll.scrollTop = at; }
    const from = Math.floor(this.top);
    const to = Math.min(this.count(), from + this.fits + 2);
    const rows = [];
    let missing = false;
    for (let row = from; row < to; row++) {
      const made = this.make(row);
      missing ||= !made;
      rows.push(made ?? empty());
    }
    this.inner.replaceChildren(...rows);
    this.#place(height);
    this.drawn++;
    if (missing) this.need(from, to).then((came) => { if (came) this.draw(); });
  }

  // At the end the last row stands at the bottom, also where rows are wrapped and higher.
  #place(height) {
    const over = this.inner.offsetHeight - height;
    const first = this.inner.firstElementChild?.offsetHeight ?? ROW;
    const part = Math.round((this.top - Math.floor(this.top)) * first);
    const up = this.atEnd ? Math.max(0, over) : part;
    this.inner.style.transform = up ? `translateY(${-up}px)` : "";
  }

  #moving = false;

  #scrolled() {
    if (this.#moving) { this.#moving = false; return; }
    const top = this.scroll.scrollTop / this.#pixels;
    const lowest = this.scroll.scrollTop + this.scroll.clientHeight >= this.scroll.scrollHeight - 1;
    this.go(lowest ? this.most : top);
    this.onScroll();
  }

  #wheel(event) {
    if (event.ctrlKey || event.shiftKey || !event.deltaY) return;
    const before = this.top;
    const lines = event.deltaMode === 1 ? event.deltaY : event.deltaY / ROW;
    this.go(this.top + lines);
    if (this.top === before) return; // the page goes on where the log has ended
    event.preventDefault();
    this.onScroll();
  }

  #key(event) {
    if (event.target !== this.scroll || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: this.fits - 1, PageUp: 1 - this.fits }[event.key];
    if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.end();
    else if (by) this.go(Math.floor(this.top) + by);
    else return;
    event.preventDefault();
    event.stopPropagation(); // arrows are also keys of the page
    this.onScroll();
  }

  #selecting() {
    const marked = document.getSelection();
    return Boolean(marked && !marked.isCollapsed && this.inner.contains(marked.anchorNode));
  }
}

function empty() {
  return Object.assign(document.createElement("div"), { className: "log-row", textContent: "\u2026" });
}
