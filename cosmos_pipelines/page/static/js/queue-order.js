// The order of the queue: rows are dragged or moved by keys; pauses; why a run waits.
import { bind } from "./keys.js";
import { get, post } from "./post.js";
import { current, setCurrent } from "./selection.js";
import { say } from "./toast.js";

const list = document.querySelector("#queue-runs");
const why = document.querySelector("#why");
const pause = document.querySelector("#pause");
let dragged = null;
let marked = null; // the current run, which outlives the rows of a list

const again = () => document.body.dispatchEvent(new CustomEvent("cosmos:strip"));
const rows = () => [...list.querySelectorAll("tr[data-run]")];

async function move(run, to) {
  const done = await post("/cosmos/queue/move", { run, ...to });
  if (done) say(`It is number ${done.position} in the queue now.`);
  again();
}

async function resume(scope) {
  if (await post("/cosmos/queue/resume", { scope })) again();
}

for (const type of ["pointerdown", "focusin"]) {
  list.addEventListener(type, (event) => {
    const row = event.target.closest("tr[data-run]");
    if (row) { setCurrent(row); marked = row.dataset.run; }
  });
}
document.body.addEventListener("htmx:afterSwap", (event) => {
  const row = event.target === list && rows().find((one) => one.dataset.run === marked);
  if (row) setCurrent(row);
});

// ------------------------------------------------------------------------------ drag
list.addEventListener("dragstart", (event) => {
  const row = event.target.closest("tr[data-run]");
  if (!row) return;
  dragged = row.dataset.run;
  event.dataTransfer.effectAllowed = "move";
});
list.addEventListener("dragover", (event) => {
  const row = event.target.closest("tr[data-run]");
  if (!dragged || !row) return;
  event.preventDefault();
  for (const other of rows()) other.classList.toggle("drop-before", other === row);
});
list.addEventListener("drop", (event) => {
  const row = event.target.closest("tr[data-run]");
  const run = dragged;
  if (!run || !row) return;
  event.preventDefault();
  if (row.dataset.run !== run) move(run, { before: row.dataset.run });
});
list.addEventListener("dragend", () => {
  dragged = null;
  for (const row of rows()) row.classList.remove("drop-before");
});

// ------------------------------------------------------------------------------ why, priority
async function ask(row) {
  const answer = await get(`/cosmos/queue/why?run=${encodeURIComponent(row.dataset.run)}`);
  if (!answer) return;
  why.dataset.run = answer.run_id;
  document.querySelector("#why-name").textContent = row.querySelector("[data-name]")?.dataset.name ?? answer.run_id;
  document.querySelector("#why-reasons").replaceChildren(...answer.reasons.map(({ said, do: command }) => {
    const line = Object.assign(document.createElement("li"), { textContent: said });
    if (command) line.append(" ", Object.assign(document.createElement("code"), { textContent: command }));
    return line;
  }));
  document.querySelector("#why-priority").value = row.dataset.priority;
  why.showModal();
}

document.querySelector("#why form").addEventListener("submit", (event) => {
  const run = why.dataset.run;
  if (event.submitter?.value === "first") move(run, { first: true });
  if (event.submitter?.value === "priority") move(run, { priority: document.querySelector("#why-priority").value });
});

// ------------------------------------------------------------------------------ pauses
document.querySelector("#pause form").addEventListener("submit", async (event) => {
  if (event.submitter?.value !== "yes") return;
  const scope = document.querySelector("#pause-scope").value;
  const reason = document.querySelector("#pause-reason").value;
  if (await post("/cosmos/queue/pause", { scope, reason })) again();
});

list.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const row = event.target.closest("tr[data-run]");
  if (button?.dataset.resume) resume(button.dataset.resume);
  else if (button?.id === "pause-queue") pause.showModal();
  else if (button?.matches("[data-first]")) move(row.dataset.run, { first: true });
  else if (button?.matches("[data-why]")) ask(row);
});

function on(act) {
  return () => {
    const row = current();
    if (!row?.matches("#queue-runs tr[data-run]")) return false;
    act(row);
  };
}

function step(by) {
  return on((row) => {
    const all = rows();
    const place = all.indexOf(row);
    const before = all[by < 0 ? place - 1 : place + 2];
    if (before) move(row.dataset.run, { before: before.dataset.run });
    else if (by > 0 && all[place + 1]) move(all[place + 1].dataset.run, { before: row.dataset.run });
  });
}

bind("f", "Move the waiting run to the beginning of the queue", on((row) => move(row.dataset.run, { first: true })));
bind("Shift+ArrowUp", "Move the waiting run up", step(-1));
bind("Shift+ArrowDown", "Move the waiting run down", step(1));
bind("w", "Why the run waits, and its priority", on(ask));
