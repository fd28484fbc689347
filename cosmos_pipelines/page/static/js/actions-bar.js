// The bar at the bottom while runs are selected, and the compact bar of one run.
import { compared, compareLink, toggleCompare } from "./actions-compare.js";
import { make } from "./actions-dialog.js";
import { stateOf } from "./actions-state.js";
import { token } from "./post.js";
import { clear, current, onChange, selected } from "./selection.js";
import { say } from "./toast.js";

const NINE = 9;

export function bars(act) {
  const bar = selectionBar(act);
  document.querySelector("#action-bars").append(bar);
  const fillAll = () => {
    for (const place of document.querySelectorAll("[data-actions]:not(.action-compact)")) compactBar(place, act);
  };
  new MutationObserver(fillAll).observe(document.querySelector("main"), { childList: true, subtree: true });
  fillAll();
  // Messages stand above the bars, however many lines those have.
  new ResizeObserver(([{ contentRect }]) => {
    document.documentElement.style.setProperty("--bars", `${contentRect.height}px`);
  }).observe(document.querySelector("#action-bars"));
}

function button(label, title, act, className = "") {
  const made = make("button", { type: "button", textContent: label, title, className });
  made.addEventListener("click", act);
  return made;
}

function stars(act, ids) {
  const group = make("span", { className: "action-stars" });
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Rate");
  for (const number of [1, 2, 3, 4, 5]) {
    const star = button("★", `Rate ${number} (${number})`, () => act.rate(ids(), number), "quiet");
    star.setAttribute("aria-label", `Rate ${number}`);
    star.dataset.stars = number;
    group.append(star);
  }
  const none = button("0", "Remove the rating (0)", () => act.rate(ids(), 0), "quiet");
  none.setAttribute("aria-label", "0: remove the rating");
  group.append(none);
  return group;
}

// A 4K and another seed are made of a video alone: a run of another type has no button for them.
const orders = (act, ids, type = "transfer") => [
  type === "transfer" && button("4K", "Order 4K (u)", () => act.order("upscale", ids())),
  button("Enhance", "Enhance the prompt (e)", () => act.order("enhance", ids())),
  type === "transfer" && button("Seed + 1", "Again with seed + 1 (s)", () => act.order("again", ids())),
].filter(Boolean);

function selectionBar(act) {
  const ids = selected;
  const number = make("b");
  const compare = button("Compare", "Compare the selected runs (2 to 9)", () => { location.href = compareLink(ids()); });
  const bar = make("div", { className: "action-bar", hidden: true },
    number, compare,
    stars(act, ids),
    button("Pick", "Pick (p)", () => act.judge(ids(), "picked")),
    button("Reject", "Reject (x)", () => act.judge(ids(), "rejected")),
    button("Tags", "Tags (t)", () => act.tags(ids())),
    ...orders(act, ids),
    button("CSV", "Export as CSV", () => download(ids(), "csv")),
    button("JSON", "Export as JSON", () => download(ids(), "json")),
    button("Delete", "Delete (d)", () => act.delete(ids()), "danger"),
    button("Clear", "Clear the selection", clear, "quiet"));
  bar.setAttribute("role", "region");
  bar.setAttribute("aria-label", "Selected runs");
  const show = (chosen) => {
    bar.hidden = !chosen.length;
    number.textContent = `${chosen.length} selected`;
    compare.disabled = chosen.length < 2 || chosen.length > NINE;
  };
  onChange(show);
  show(ids());
  return bar;
}

function compactBar(place, act) {
  const host = place.closest("[data-run]") ?? (place.dataset.actions ? null : current());
  const id = host?.dataset.run ?? place.dataset.actions;
  if (!id) return;
  const ids = () => [id];
  const verdict = (name, label, key) => button(label, `${label} (${key}); again: take it back`, () =>
    act.judge(ids(), host && stateOf(host).verdict === name ? "none" : name));
  const [pick, reject] = [verdict("picked", "Pick", "p"), verdict("rejected", "Reject", "x")];
  const compare = button("Compare set", "Into the compare set, or out of it (c)", () => { toggleCompare(ids()); show(); });
  const rating = stars(act, ids);
  place.append(rating, pick, reject,
    button("Tags", "Tags (t)", () => act.tags(ids())), ...orders(act, ids, host?.dataset.type),
    ...(host?.dataset.type === "enhance" ? [] : [compare]), button("Delete", "Delete (d)", () => act.delete(ids()), "danger"));
  place.classList.add("action-compact");
  function show() {
    const state = host ? stateOf(host) : { rating: 0, verdict: "" };
    for (const star of rating.querySelectorAll("[data-stars]")) {
      star.setAttribute("aria-pressed", star.dataset.stars <= state.rating);
    }
    pick.setAttribute("aria-pressed", state.verdict === "picked");
    reject.setAttribute("aria-pressed", state.verdict === "rejected");
    compare.setAttribute("aria-pressed", compared().includes(id));
  }
  host?.addEventListener("cosmos:marks", show);
  show();
}

// Fetched and not a link: the ids of thousands of runs fit into no address.
async function download(ids, form) {
  try {
    const headers = { "Content-Type": "application/json", "X-Cosmos-Token": token(), Accept: "application/json" };
    const answer = await fetch("/cosmos/runs/export", { method: "POST", body: JSON.stringify({ ids, form }), headers });
    if (!answer.ok) return say((await answer.json()).error, { bad: true });
    const link = make("a", { href: URL.createObjectURL(await answer.blob()), download: `runs.${form}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch {
    say("The server does not answer. Is `cosmos ui` running?", { bad: true });
  }
}
