// Deletion: all that goes is shown first. The focus is on "Keep", so that no typed key deletes.
import { alone, dialog, lines, make } from "./actions-dialog.js";
import { inWords, sayEach } from "./actions-marks.js";
import { leaveRun } from "./actions-walk.js";
import { dropCompared } from "./actions-compare.js";
import { post } from "./post.js";
import { select } from "./selection.js";
import { say } from "./toast.js";

const KIND = { transfer: "video", enhance: "enhancement", upscale: "4K" };

export const askDelete = alone(async (ids) => {
  const plan = await post("/cosmos/runs/plan-deletion", { ids });
  if (!plan) return;
  if (!plan.runs.length) return sayEach(plan.refused);
  const seen = plan.runs.map((run) => run.id);
  const buttons = [["Keep", null], [`Delete ${runsOf(seen.length)}`, () => remove(ids, seen), "danger"]];
  dialog(`Delete ${runsOf(seen.length)}?`, told(ids, plan), buttons);
});

const runsOf = (number) => `${number} ${number === 1 ? "run" : "runs"}`;

function told(ids, plan) {
  const asked = new Set(ids);
  const more = plan.runs.filter((run) => !asked.has(run.id)).length;
  const content = [
    make("p", { className: "action-warning", textContent: "This cannot be undone: the runs and their files are gone for ever." }),
    lines(plan.runs.map((run) => {
      const marks = [KIND[run.model_type], run.status, run.rating && `rated ${run.rating}`, ...run.tags.filter((tag) => tag === "picked")];
      return `${run.title} (${marks.filter(Boolean).join(", ")})${asked.has(run.id) ? "" : ", made of a run above"}`;
    })),
  ];
  if (more) content.push(make("p", { textContent: `Not chosen, but made of a chosen run: ${runsOf(more)} above.` }));
  const files = plan.files.map((file) => `${file.name}  ${size(file.bytes)}`);
  if (plan.count > files.length) files.push(`and ${plan.count - files.length} more`);
  const summary = make("summary", { textContent: `${plan.count} files, ${size(plan.bytes)}` });
  content.push(make("details", {}, summary, lines(files)));
  if (plan.refused.length) content.push(make("p", { textContent: "These stay:" }), lines(inWords(plan.refused), "is-bad"));
  return content;
}

function size(bytes) {
  for (const unit of ["B", "kB", "MB"]) {
    if (bytes < 1000) return unit === "B" ? `${bytes} B` : `${bytes.toFixed(1)} ${unit}`;
    bytes /= 1000;
  }
  return `${bytes.toFixed(1)} GB`;
}

async function remove(ids, seen) {
  const answer = await post("/cosmos/runs/delete", { ids, seen });
  if (!answer) return;
  select(answer.deleted, false);
  dropCompared(answer.deleted);
  if (answer.refused.length) sayEach(answer.refused);
  if (answer.deleted.length) say(`${runsOf(answer.deleted.length)} deleted, ${size(answer.bytes)} freed.`);
  leaveRun(answer.deleted);
}
