// The strip: what failed since this browser last showed the wall's list of failed runs, and the
// load of the GPUs as it is pushed. Also the steady events that parts of pages are triggered by:
// `cosmos:strip`, `cosmos:seldom` (changes of the catalog), `cosmos:jobs` (works of the server).
import { steady } from "./steady.js";

const KEY = "cosmos-failed-seen";

// The time until which failed runs were seen here, by the server's clock; null: never.
export function seenUntil() {
  try { return localStorage.getItem(KEY); } catch { return null; }
}

const showsFailed = () => location.pathname === "/cosmos/" &&
  new URLSearchParams(location.search).getAll("status").includes("failed");

document.body.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.path !== "/cosmos/strip") return;
  const since = seenUntil();
  if (since) event.detail.parameters.since = since;
});

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "strip" || !showsFailed()) return;
  const now = event.target.querySelector("[data-now]")?.dataset.now;
  if (!now) return;
  const first = seenUntil() === null || event.target.querySelector(".is-bad") !== null;
  try { localStorage.setItem(KEY, now); } catch { return; }
  if (first) document.body.dispatchEvent(new CustomEvent("cosmos:counts"));
});

steady("cosmos:strip", ["cosmos:change", "cosmos:hello", "cosmos:counts"], 1000);
steady("cosmos:seldom", ["cosmos:change", "cosmos:hello"], 2000);
steady("cosmos:jobs", ["cosmos:job", "cosmos:hello"], 300);

let before = "";
document.body.addEventListener("cosmos:hosts", (event) => {
  const { load, gpus, silent, alive, queue, workers } = event.detail;
  const box = document.querySelector("#strip [data-hosts]");
  const others = JSON.stringify([gpus, silent, alive, queue, workers]);
  if (!box || others !== before) {  // not the load alone: the server writes the strip
    before = others;
    document.body.dispatchEvent(new CustomEvent("cosmos:counts"));
  } else if (load !== null && box.firstChild?.nodeType === Node.TEXT_NODE) {
    box.firstChild.textContent = `GPU ${load} %${gpus > 1 ? ` of ${gpus}` : ""} `;
  }
});
