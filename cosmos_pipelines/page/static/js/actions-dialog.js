// A dialog of the actions: a title, what it says, and buttons; gone when it is closed.
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

let asking = false;

// What asks the server first and then the user, never twice at once: a key may be pressed again
// before the dialog is there.
export const alone = (ask) => async (...given) => {
  if (asking || document.querySelector("dialog[open]")) return;
  asking = true;
  try { await ask(...given); } finally { asking = false; }
};

// `buttons`: [label, what it does, class]; the first of them has the focus, and Escape only closes.
export function dialog(title, content, buttons) {
  const head = make("h2", { textContent: title, id: "action-title" });
  const row = make("div", { className: "action-row" });
  const box = make("dialog", { className: "action-dialog" }, head, ...content, row);
  box.setAttribute("aria-labelledby", head.id);
  for (const [label, act, className = ""] of buttons) {
    const button = make("button", { type: "button", textContent: label, className });
    button.addEventListener("click", () => { box.close(); act?.(); });
    row.append(button);
  }
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  row.firstElementChild.focus();
  return box;
}

// Lines in a box that scrolls.
export function lines(texts, className = "") {
  const list = make("ul", { className: `action-lines ${className}`, tabIndex: 0 });
  list.append(...texts.map((text) => make("li", { textContent: text })));
  return list;
}
