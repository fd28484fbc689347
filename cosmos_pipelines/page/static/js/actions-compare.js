// The compare set: 2 to 9 runs, kept in this window; a bar says how many there are.
import { make } from "./actions-dialog.js";
import { onChange } from "./selection.js";
import { say } from "./toast.js";

const KEY = "cosmos-compare";
const MOST = 9;
const bar = make("div", { className: "compare-bar", hidden: true });
bar.setAttribute("role", "region");
bar.setAttribute("aria-label", "Compare set");

export function compared() {
  try { return JSON.parse(sessionStorage.getItem(KEY)) ?? []; } catch { return []; }
}

export const compareLink = (ids) => `/cosmos/compare?${ids.map((id) => `v=${encodeURIComponent(id)}`).join("&")}`;

function keep(ids) {
  try { sessionStorage.setItem(KEY, JSON.stringify(ids)); } catch { say("The browser keeps nothing for this page.", { bad: true }); }
  show();
}

// A run that made a text has nothing to compare.
const isText = (id) => document.querySelector(`[data-run="${CSS.escape(id)}"][data-type="enhance"]`) !== null;

// All of them out if all are in, else those in that are not.
export function toggleCompare(chosen) {
  const now = compared();
  const ids = chosen.filter((id) => now.includes(id) || !isText(id));
  if (ids.length < chosen.length) say("An enhanced prompt is no video: it is not compared.", { bad: !ids.length });
  if (!ids.length) return undefined;
  if (ids.every((id) => now.includes(id))) return keep(now.filter((id) => !ids.includes(id)));
  const then = [...new Set([...now, ...ids])];
  if (then.length > MOST) return say(`At most ${MOST} videos can be compared: ${now.length} are in the set already.`, { bad: true });
  keep(then);
}

export function dropCompared(ids) {
  keep(compared().filter((id) => !ids.includes(id)));
}

export function compareBar() {
  document.querySelector("#action-bars").append(bar);
  onChange(mark);
  new MutationObserver(mark).observe(document.querySelector("main"), { childList: true, subtree: true });
  show();
}

function mark() {
  const now = new Set(compared());
  for (const element of document.querySelectorAll("[data-run]")) {
    const inside = now.has(element.dataset.run);
    if (inside !== "compared" in element.dataset) element.toggleAttribute("data-compared", inside);
  }
}

function show() {
  const now = compared();
  const clear = make("button", { type: "button", className: "quiet", textContent: "Clear" });
  clear.addEventListener("click", () => keep([]));
  const link = make("a", { className: "button", href: compareLink(now), textContent: "Compare" });
  bar.replaceChildren(make("span", { textContent: `${now.length} in compare` }), ...(now.length > 1 ? [link] : []), clear);
  bar.hidden = !now.length;
  mark();
}
