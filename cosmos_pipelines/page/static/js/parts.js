// Parts of a page that are read anew: a button that is pressed in one, or a row that is dragged, would
// be another one when the pointer is let go, and its click or drag would be lost. So the part waits until
// then. What was opened in it stays open.
let pressed = null;
let dragging = false;
const again = new Set(); // parts that are read once more when the pointer is let go
const waiting = new Set();

const held = (part) => pressed !== null && part.contains(pressed);

// Waits until nothing is pressed in a part.
export const free = (part) => (held(part) ? new Promise((go) => { waiting.add(go); }) : Promise.resolve());

function letGo() {
  const was = pressed;
  dragging = false;
  setTimeout(() => { // the click comes first
    if (pressed === was) pressed = null;
    for (const go of waiting) go();
    waiting.clear();
    for (const part of again) window.htmx.ajax("GET", part.getAttribute("hx-get"), { source: part });
    again.clear();
  });
}

addEventListener("pointerdown", (event) => { pressed = event.target; }, true);
addEventListener("dragstart", () => { dragging = true; }, true);
addEventListener("dragend", letGo, true);
for (const type of ["pointerup", "pointercancel"]) addEventListener(type, () => { if (!dragging) letGo(); }, true);
addEventListener("pointermove", ({ buttons }) => { // it was let go outside of the window; a drag has no such event
  if (pressed && !buttons) letGo();
}, true);

let opened = [];
const nameOf = (one) => one.closest("[id]")?.id;
const details = (part) => [...part.querySelectorAll("details")].filter((one) => nameOf(one) !== part.id);

document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const { target, requestConfig } = detail;
  if (!detail.shouldSwap || requestConfig.elt !== target) return;
  if (held(target)) {
    detail.shouldSwap = false;
    again.add(target);
    return;
  }
  opened = details(target).filter((one) => one.open).map(nameOf);
});
document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (!detail.target || detail.requestConfig?.elt !== detail.target) return; // `htmx.swap` tells neither
  for (const one of details(detail.target)) if (opened.includes(nameOf(one))) one.open = true;
});
