// The queue: select what waits, stop what runs; what would be stopped is named before.
import { bind } from "./keys.js";
import { post } from "./post.js";
import { clear, onChange, select, selected, show } from "./selection.js";
import { say } from "./toast.js";

const MOST_NAMES = 12;
const names = new Map();

function confirmed(runs, what, known) {
  const dialog = document.querySelector("#confirm");
  const many = runs.length > 1 || known.length > 1;
  document.querySelector("#confirm-title").textContent = what;
  document.querySelector("#confirm-said").textContent =
    known.length > runs.length ? "These runs share one load of the model, so all of them are stopped:" : "";
  const lines = known.slice(0, MOST_NAMES).map((name) => Object.assign(document.createElement("li"), { textContent: name }));
  if (known.length > MOST_NAMES) {
    lines.push(Object.assign(document.createElement("li"), { textContent: `and ${known.length - MOST_NAMES} more` }));
  }
  document.querySelector("#confirm-names").replaceChildren(...lines);
  document.querySelector("#confirm-yes").textContent = many ? "Stop them" : "Stop it";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function cancel({ runs, batch, names: known }, button = null) {
  const what = runs.length > 1 || batch ? "Stop these runs?" : "Stop this run?";
  if (!await confirmed(runs, what, known)) return;
  button?.setAttribute("aria-busy", "true");
  if (button) { button.disabled = true; button.textContent = "Stopping…"; }
  const done = await post("/cosmos/queue/cancel", { runs, batch });
  if (!done) { document.body.dispatchEvent(new CustomEvent("cosmos:counts")); return; }
  if (done.stopped.length) say(`${done.stopped.length} stopped.`);
  for (const { error, hint } of done.refused.slice(0, 3)) say([error, hint].filter(Boolean).join(" "), { bad: true });
  select(done.stopped, false);
}

document.querySelector("#queue-runs").addEventListener("click", (event) => {
  const button = event.target.closest("[data-cancel]");
  if (button) cancel(JSON.parse(button.dataset.cancel), button);
  if (event.target.id === "cancel-selected") cancelSelected();
});

function cancelSelected() {
  const runs = selected();
  if (!runs.length) return false;
  cancel({ runs, batch: false, names: runs.map((id) => names.get(id) ?? id) });
}

document.querySelector("#queue-runs").addEventListener("change", (event) => {
  const row = event.target.closest("tr[data-run]");
  if (row && event.target.type === "checkbox") select([row.dataset.run], event.target.checked);
});

onChange((ids) => {
  const chosen = new Set(ids);
  for (const box of document.querySelectorAll("#queue-runs tr[data-run] input")) {
    const id = box.closest("tr").dataset.run;
    names.set(id, box.dataset.name);
    box.checked = chosen.has(id);
  }
  const button = document.querySelector("#cancel-selected");
  if (!button) return;
  button.hidden = ids.length === 0;
  button.textContent = `Cancel the selected (${ids.length})`;
});

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "queue-runs") show(event.detail.target);
});

bind("Escape", "Select nothing", () => {
  if (document.querySelector("dialog[open]") || !selected().length) return false;
  clear();
});
bind("Delete", "Cancel the selected waiting runs", cancelSelected);
