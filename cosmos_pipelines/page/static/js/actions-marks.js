// Ratings, verdicts and tags of runs.
import { elementsOf, refresh, shown } from "./actions-state.js";
import { done } from "./actions-undo.js";
import { post } from "./post.js";
import { say } from "./toast.js";
import { inTurn } from "./turn.js";

export const runs = (ids) => (ids.length === 1 ? nameOf(ids[0]) : `${ids.length} runs`);

const LONGEST_NAME = 80;

// What a screen calls a run: its data-title, its link or its heading, else its id.
function nameOf(id) {
  for (const element of elementsOf(id)) {
    const link = element.querySelector(`a[href="/cosmos/run/${CSS.escape(id)}"]`) ?? element.querySelector("h1");
    const name = (element.dataset.title ?? link?.textContent ?? "").trim().replace(/\s+/g, " ");
    if (name) return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name;
  }
  return id;
}

export async function rate(ids, rating) {
  const text = rating ? `${runs(ids)}: rated ${rating}.` : `${runs(ids)}: rating removed.`;
  await mark("rate", ids, { rating }, text);
}

export async function judge(ids, verdict) {
  const text = verdict === "none" ? `${runs(ids)}: neither picked nor rejected.` : `${runs(ids)}: ${verdict}.`;
  await mark("verdict", ids, { verdict }, text);
}

// The same verdict again takes it back, if all on the screen have it.
export async function toggleVerdict(ids, verdict) {
  const here = shown();
  const have = ids.every((id) => here.get(id)?.[0].dataset.verdict === verdict);
  await judge(ids, have ? "none" : verdict);
}

export async function tag(ids, { add = [], remove = [] }) {
  const said = [...add.map((one) => `tagged ${one}`), ...remove.map((one) => `no longer tagged ${one}`)];
  await mark("tag", ids, { add, remove }, `${runs(ids)}: ${said.join(", ")}.`);
}

const mark = inTurn(async (what, ids, data, text) => {
  const answer = await post(`/cosmos/runs/${what}`, { ids, ...data });
  if (!answer) return;
  refresh(ids);
  if (answer.failed.length) sayEach(answer.failed);
  if (answer.changed) done(text, { undo: answer.undo });
  else if (!answer.failed.length) say(`${text} Nothing changed.`);
});

const MOST_LINES = 8;

// Why runs were refused, a line each, with their names where the screen has them; the same reason once.
export function inWords(failed) {
  const found = new Map();
  for (const { error } of failed) {
    const line = error.replace(/\brs_[0-9a-f]{32}\b/g, (id) => {
      const name = nameOf(id);
      return name === id ? id : `“${name}”`;
    });
    found.set(line, (found.get(line) ?? 0) + 1);
  }
  return [...found].map(([line, number]) => (number > 1 ? `${line} (${number} runs)` : line));
}

// One line for each run that was refused.
export function sayEach(failed) {
  const lines = inWords(failed);
  const more = lines.length - MOST_LINES;
  say([...lines.slice(0, MOST_LINES), ...(more > 0 ? [`And ${more} more.`] : [])].join("\n"), { bad: true });
}
