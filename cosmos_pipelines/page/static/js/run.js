// The parts of a run's page that change are fetched anew on news of the project: the head while the
// run works, the rest once its status is another, the story when something was made of it.
import { say } from "./toast.js";
import { free } from "./parts.js";
import { read } from "./read.js";

const BETWEEN_MS = 700;
const article = document.querySelector("article.run");
const runId = article.dataset.run;
const waiting = new Map();

const status = () => article.querySelector(".run-head")?.dataset.status;

async function fetched(part) {
  const answer = await read(`/cosmos/run/${runId}/${part}`, { headers: { "HX-Request": "true" } });
  if (answer.status === 404) {
    say("This run is not there any more.", { bad: true });
    return null;
  }
  return answer.ok ? answer.text() : null;
}

// The server has escaped what is not its own markup.
async function renew(part, place) {
  const text = await fetched(part);
  if (text === null) return;
  await free(document.querySelector(place));
  // htmx tells the other scripts that there are new elements (`htmx:afterSettle`)
  window.htmx.swap(place, text, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 0 });
}

async function head() {
  const before = status();
  await renew("head", "#run-head");
  if (status() !== before) await renew("body", "#run-body");
}

// One request at a time for a part, and one more if there was news meanwhile.
function soon(name, act) {
  if (waiting.has(name)) return;
  waiting.set(name, setTimeout(async () => {
    waiting.delete(name);
    try {
      await act();
    } catch { /* the frame of the page says that the server does not answer */ }
  }, waiting.size ? BETWEEN_MS : 60));
}

const shown = (id) => [...document.querySelectorAll("#run-story a")].some((link) => link.href.includes(id));

document.body.addEventListener("cosmos:change", ({ detail }) => {
  const others = detail.filter(({ id }) => id !== runId);
  if (others.length < detail.length) soon("head", head);
  if (others.some(({ kind, id, deleted }) => kind !== "scene" && (deleted || isNews(id)))) {
    soon("story", () => renew("story", "#run-story"));
  }
});
document.body.addEventListener("cosmos:hello", () => {
  soon("head", head);
  soon("story", () => renew("story", "#run-story"));
});

// A run or prompt that is in the story, or was not there when the story was told.
const known = new Set();

function isNews(id) {
  const fresh = !known.has(id);
  known.add(id);
  return fresh || shown(id);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.parentElement.querySelector("code").textContent;
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch { // without HTTPS a browser copies nothing from another machine's page
    document.getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    say("The browser does not let this page copy: the text is marked, press Ctrl+C.");
  }
});
