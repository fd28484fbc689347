// Ratings, verdicts and tags of runs.
import { elementsOf, refresh } from "./actions-state.js";
import { done } from "./actions-undo.js";
import { post } from "./post.js";
import { say } from "./toast.js";

export const runs = (ids) => (ids.length === 1 ? nameOf(ids[0]) : `${ids.length} runs`);

// What a screen calls a run: its link, else its id.
function nameOf(id) {
  for (const element of elementsOf(id)) {
    const name = element.dataset.title ?? element.querySelector(`a[href="/cosmos/run/${CSS.escape(id)}"]`)?.textContent.trim();
    if (name) return name;
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
  const have = ids.every((id) => [...elementsOf(id)].some((element) => element.dataset.verdict === verdict));
  await judge(ids, have ? "none" : verdict);
}

export async function tag(ids, { add = [], remove = [] }) {
  const said = [...add.map((one) => `tagged ${one}`), ...remove.map((one) => `no longer tagged ${one}`)];
  await mark("tag", ids, { add, remove }, `${runs(ids)}: ${said.join(", ")}.`);
}

async function mark(what, ids, data, text) {
  const answer = await post(`/cosmos/runs/${what}`, { ids, ...data });
  if (!answer) return;
  refresh(ids);
  if (answer.failed.length) sayEach(answer.failed);
  if (answer.changed) done(text, { undo: answer.undo });
  else if (!answer.failed.length) say(`${text} Nothing changed.`);
}

const MOST_LINES = 8;

// Why runs were refused, with their names where the screen has them.
export function inWords(failed) {
  return failed.map(({ error }) => error.replace(/\brs_[0-9a-f]{32}\b/g, (id) => {
    const name = nameOf(id);
    return name === id ? id : `“${name}”`;
  }));
}

// One line for each run that was refused.
export function sayEach(failed) {
  const lines = inWords(failed.slice(0, MOST_LINES));
  if (failed.length > MOST_LINES) lines.push(`And ${failed.length - MOST_LINES} more.`);
  say(lines.join("\n"), { bad: true });
}
