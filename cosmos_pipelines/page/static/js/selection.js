// Which runs are selected, and which one is current: elements with `data-run` on any screen.
// The selection holds ids, so that it outlives the elements of a long wall.
const chosen = new Set();
const listeners = new Set();

export const selected = () => [...chosen];

export function select(ids, on = true) {
  for (const id of ids) on ? chosen.add(id) : chosen.delete(id);
  show();
}

export function clear() {
  chosen.clear();
  show();
}

export function onChange(listener) {
  listeners.add(listener);
}

// The element that keys act on: the one that is marked, else the only one of the screen.
export function current() {
  const marked = document.querySelector('[data-run][aria-current="true"]');
  if (marked) return marked;
  const all = document.querySelectorAll("[data-run]");
  return all.length === 1 ? all[0] : null;
}

export function setCurrent(element) {
  for (const other of document.querySelectorAll('[data-run][aria-current="true"]')) {
    if (other !== element) other.removeAttribute("aria-current");
  }
  element?.setAttribute("aria-current", "true");
}

// Marks the elements that are on the screen now; call it after new ones came.
export function show(root = document) {
  for (const element of root.querySelectorAll("[data-run]")) {
    element.toggleAttribute("data-selected", chosen.has(element.dataset.run));
  }
  for (const listener of listeners) listener(selected());
}
