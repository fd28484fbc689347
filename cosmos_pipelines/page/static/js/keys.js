// One table of keys for the page: a screen binds what it has, `?` shows the table.
// A key is what `KeyboardEvent.key` says ("x", "ArrowLeft", "?"), with "Shift+" or "Ctrl+" in front
// where needed, or two in a row ("g w").
const table = new Map();
let before = "";
let beforeAt = 0;

export function bind(key, sentence, act) {
  table.set(key, { sentence, act });
}

const typing = (target) => target.closest("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.metaKey || event.isComposing || typing(event.target)) return;
  if (document.querySelector("dialog[open]") && event.key !== "Escape") return;
  const shift = event.shiftKey && event.key.length > 1 ? "Shift+" : "";
  const key = (event.ctrlKey ? "Ctrl+" : "") + shift + event.key;
  const pair = performance.now() - beforeAt < 900 ? `${before} ${key}` : "";
  const found = table.get(pair) ?? table.get(key);
  before = key;
  beforeAt = performance.now();
  if (!found) return;
  before = "";
  if (found.act(event) !== false) event.preventDefault();
});

export function help() {
  const dialog = document.querySelector("#keys");
  const list = dialog.querySelector("dl");
  list.replaceChildren();
  for (const [key, { sentence }] of table) {
    const term = document.createElement("dt");
    for (const part of key === " " ? ["Space"] : key.split(" ")) {
      const cap = document.createElement("kbd");
      cap.textContent = part.replace("Arrow", "");
      term.append(cap);
    }
    const text = document.createElement("dd");
    text.textContent = sentence;
    list.append(term, text);
  }
  dialog.showModal();
}

document.querySelector("#keys").addEventListener("click", (event) => {
  if (event.target.id === "keys") event.target.close();
});
