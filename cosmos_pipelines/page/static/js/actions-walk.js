// Next and previous run: on a screen with several runs, and on a run's page through the list that the
// run was opened from.
import { current, setCurrent } from "./selection.js";
import { say } from "./toast.js";

const KEY = "cosmos-list";
const here = /^\/cosmos\/run\/(rs_[0-9a-f]+)$/.exec(location.pathname)?.[1];
let given = null;

// `ids` returns those of a screen's whole list, in order, where not all of them are elements.
export function rememberList(ids) {
  given = ids;
}

export function watchList() {
  if (here || location.pathname.startsWith("/cosmos/compare")) return;
  addEventListener("pagehide", () => {
    const ids = given?.() ?? [...document.querySelectorAll("[data-run]")].map((element) => element.dataset.run);
    if (!ids.length) return;
    const list = { ids: [...new Set(ids)], url: location.pathname + location.search };
    try { sessionStorage.setItem(KEY, JSON.stringify(list)); } catch { /* no list to walk through */ }
  });
}

function list() {
  try { return JSON.parse(sessionStorage.getItem(KEY)) ?? { ids: [], url: "/cosmos/" }; } catch { return { ids: [], url: "/cosmos/" }; }
}

export function walk(step) {
  if (here) return walkList(step);
  const all = [...document.querySelectorAll("main [data-run]:not([data-gone])")];
  if (all.length < 2) return false;
  const at = all.indexOf(current());
  const next = at < 0 ? all[step > 0 ? 0 : all.length - 1] : all[at + step];
  if (!next) return;
  setCurrent(next);
  next.scrollIntoView({ block: "nearest" });
  (next.matches("a, [tabindex]") ? next : next.querySelector("a, [tabindex]"))?.focus({ preventScroll: true });
}

function walkList(step) {
  const { ids } = list();
  const at = ids.indexOf(here);
  if (at < 0) return false;
  const next = ids[at + step];
  if (next) location.replace(`/cosmos/run/${next}`);
  else say(step > 0 ? "This is the last run of the list." : "This is the first run of the list.");
}

// Away from the page of a run that is gone: to the next one, else to the list.
export function leaveRun(deleted) {
  if (!here || !deleted.includes(here)) return;
  const { ids, url } = list();
  const next = ids.slice(ids.indexOf(here) + 1).find((id) => !deleted.includes(id));
  location.replace(next ? `/cosmos/run/${next}` : url);
}
