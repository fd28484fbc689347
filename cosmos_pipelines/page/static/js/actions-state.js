// What each run on the screen is rated, tagged and judged: read once, and again when it changed.
import { read } from "./read.js";

const AT_ONCE = 100;
const wanted = new Set();
let reading = false;

const MISSING = "[data-run]:not([data-gone]):is(:not([data-rating]), :not([data-verdict]), :not([data-tags]), :not([data-status]))";

export const elementsOf = (id) => document.querySelectorAll(`[data-run="${CSS.escape(id)}"]`);

// The elements of all runs on the screen, by id.
export function shown() {
  const found = new Map();
  for (const element of document.querySelectorAll("[data-run]")) {
    const { run } = element.dataset;
    found.has(run) ? found.get(run).push(element) : found.set(run, [element]);
  }
  return found;
}

export function followRuns() {
  document.body.addEventListener("cosmos:change", (event) => {
    const runs = event.detail.filter((change) => change.kind === "run");
    for (const { id } of runs.filter((change) => change.deleted)) gone(id);
    refresh(runs.filter((change) => !change.deleted).map((change) => change.id));
  });
  document.body.addEventListener("cosmos:hello", () => refresh(idsOf("[data-run]:not([data-gone])")));
  let soon = null;
  new MutationObserver(() => {
    soon ??= setTimeout(() => { soon = null; look(); }, 30);
  }).observe(document.querySelector("main"), { childList: true, subtree: true });
  look();
}

const idsOf = (selector) => [...document.querySelectorAll(selector)].map((element) => element.dataset.run);

// New elements: those that the screen wrote whole are only filled, the others are asked for.
function look() {
  for (const element of document.querySelectorAll("[data-run][data-tags] [data-show]:not([data-filled])")) {
    const run = element.closest("[data-run]");
    if (!run.matches(MISSING)) fill(element, stateOf(run));
  }
  refresh(idsOf(MISSING));
}

// Reads the state of those of these runs that are on the screen, one request after the other: an
// old answer never comes after a new one.
export async function refresh(ids) {
  const here = shown();
  for (const id of ids) if (here.has(id)) wanted.add(id);
  if (reading) return;
  reading = true;
  try {
    while (wanted.size) {
      const some = [...wanted].slice(0, AT_ONCE);
      for (const id of some) wanted.delete(id);
      const found = await stateFrom(some);
      if (!found) return;
      for (const id of some) found[id] ? put(id, found[id]) : gone(id);
    }
  } finally {
    reading = false;
  }
}

// Null while the server or its catalog does not answer: feed.js says so, and `cosmos:hello` asks anew.
async function stateFrom(ids) {
  try {
    const answer = await read(`/cosmos/runs/state?ids=${ids.join(",")}`, { headers: { Accept: "application/json" } });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

export function stateOf(element) {
  const { rating, verdict, tags, status } = element.dataset;
  return { rating: Number(rating ?? 0), verdict: verdict ?? "", tags: JSON.parse(tags || "[]"), status: status ?? "" };
}

function put(id, state) {
  for (const element of elementsOf(id)) {
    Object.assign(element.dataset, {
      rating: state.rating ?? 0, verdict: state.verdict, tags: JSON.stringify(state.tags), status: state.status,
    });
    for (const part of element.querySelectorAll("[data-show]")) {
      if (part.closest("[data-run]") === element) fill(part, state);
    }
    element.dispatchEvent(new CustomEvent("cosmos:marks", { detail: state }));
  }
}

// A new element of a run has the marks of the one whose place it takes: keys may act on it at once.
export function keepMarks(old, element) {
  const { rating, verdict, tags, status } = old.dataset;
  for (const [name, value] of Object.entries({ rating, verdict, tags, status })) {
    if (value !== undefined) element.dataset[name] ??= value;
  }
}

function gone(id) {
  for (const element of elementsOf(id)) element.dataset.gone = "";
}

function fill(part, { rating, verdict, tags, status }) {
  part.dataset.filled = "";
  switch (part.dataset.show) {
    case "rating":
      part.textContent = rating ? "★".repeat(rating) : "";
      part.setAttribute("role", "img");
      part.setAttribute("aria-label", rating ? `rated ${rating} of 5` : "not rated");
      break;
    case "verdict": part.textContent = verdict; break;
    case "status": part.textContent = status; break;
    case "tags":
      part.replaceChildren(...tags.map((tag) => Object.assign(document.createElement("span"), { className: "tag", textContent: tag })));
  }
}
