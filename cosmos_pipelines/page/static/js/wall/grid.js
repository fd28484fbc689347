// The grid of a sweep: keys move from cell to cell that has a run.
import { keepMarks } from "../actions-state.js";
import { select, selected, setCurrent } from "../selection.js";

export class Grid {
  constructor(table) {
    this.table = table;
    const first = table.querySelector("[data-run]");
    if (first) first.tabIndex = 0;
    table.addEventListener("focusin", (event) => {
      const cell = event.target.closest("[data-run]");
      if (cell) this.#mark(cell);
    });
    table.addEventListener("click", (event) => {
      const cell = event.target.closest("[data-run]");
      if (!cell || !event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.#mark(cell);
      this.toggle();
    });
  }

  step(right, down) {
    if (typeof down === "string") return false;
    const next = this.#current() ? this.#beside(this.#current(), right, down) : this.#cells()[0];
    if (next) this.#go(next);
    return true;
  }

  jump(index) {
    const cell = this.#cells().at(index);
    if (cell) this.#go(cell);
    return true;
  }

  open() {
    this.#current()?.querySelector("a").click();
    return Boolean(this.#current());
  }

  toggle() {
    const id = this.#current()?.dataset.run;
    if (id) select([id], !selected().includes(id));
    return Boolean(id);
  }

  // Takes the cells of runs that are here from a newer page; returns the runs that only that one has.
  update(page) {
    const there = new Map([...page.querySelectorAll("#grid [data-run]")].map((cell) => [cell.dataset.run, cell]));
    for (const cell of this.#cells()) {
      const newer = there.get(cell.dataset.run);
      there.delete(cell.dataset.run);
      if (!newer || newer.textContent === cell.textContent && newer.className === cell.className) continue;
      const focused = cell.contains(document.activeElement);
      newer.tabIndex = cell.tabIndex;
      keepMarks(cell, newer);
      if (cell.hasAttribute("aria-current")) newer.setAttribute("aria-current", "true");
      cell.replaceWith(document.adoptNode(newer));
      if (focused) newer.focus({ preventScroll: true });
    }
    return [...there.keys()];
  }

  all() { select(this.#cells().map((cell) => cell.dataset.run)); }

  #cells() { return [...this.table.querySelectorAll("[data-run]")]; }

  #current() { return this.table.querySelector('[data-run][aria-current="true"]'); }

  #go(cell) {
    this.#mark(cell);
    cell.focus();
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #mark(cell) {
    for (const other of this.table.querySelectorAll('[data-run][tabindex="0"]')) other.tabIndex = -1;
    cell.tabIndex = 0;
    setCurrent(cell);
  }

  // The nearest cell with a run in this direction, in the same row or column.
  #beside(cell, right, down) {
    const rows = [...this.table.tBodies[0].rows];
    let row = rows.indexOf(cell.closest("tr"));
    let column = cell.closest("td").cellIndex;
    for (;;) {
      row += down;
      column += right;
      const there = rows[row]?.cells[column];
      if (!there || there.localName === "th") return null;
      const found = there.querySelector("[data-run]");
      if (found) return found;
    }
  }
}
