// Orders of runs that are there: 4K, a better prompt, the next seed. For more than one run it is said
// first what will be done. What was ordered already is refused by the server, however often it is sent.
import { alone, dialog, lines, make } from "./actions-dialog.js";
import { inWords, runs, sayEach } from "./actions-marks.js";
import { done } from "./actions-undo.js";
import { post } from "./post.js";
import { say } from "./toast.js";
import { inTurn } from "./turn.js";

const WHAT = {
  upscale: { title: "Order 4K", one: "4K ordered", thing: ["4K video", "4K videos"] },
  enhance: { title: "Enhance prompts", one: "enhancement of the prompt ordered", thing: ["better prompt", "better prompts"] },
  again: { title: "Again with seed + 1", one: "ordered again with seed + 1", thing: ["video", "videos"] },
};

export function order(what, ids) {
  return ids.length === 1 ? send(what, ids) : ask(what, ids);
}

const ask = alone(async (what, ids) => {
  const patience = setTimeout(() => say(`Checking ${ids.length} runs.`), 500);
  const plan = await post("/cosmos/runs/plan", { what, ids });
  clearTimeout(patience);
  if (!plan) return;
  const buttons = [["Cancel", null]];
  if (plan.runs) buttons.unshift([`Queue ${count(plan.runs, ["run", "runs"])}`, () => send(what, ids), "main"]);
  dialog(`${WHAT[what].title}: ${ids.length} runs selected`, told(what, plan), buttons);
});

const count = (number, [one, many]) => `${number} ${number === 1 ? one : many}`;

function told(what, plan) {
  const content = [];
  if (plan.runs) {
    const by = plan.engines.map((engine) => engine.label).join(", ");
    const loads = count(plan.loads, ["load of the model", "loads of the model"]);
    content.push(make("p", { textContent: `${count(plan.runs, WHAT[what].thing)}, in ${loads}, by ${by}.` }));
    if (plan.total) content.push(make("p", { textContent: `It takes ${plan.total}.` }));
  } else content.push(make("p", { textContent: "None of them can be ordered." }));
  if (plan.same) content.push(make("p", { textContent: `${count(plan.same, ["run has", "runs have"])} the same order as another of them.` }));
  if (plan.notes.length) content.push(lines(plan.notes.map(({ note, runs: of }) => (of === plan.runs ? note : `${note} (${of} of ${plan.runs})`))));
  if (plan.refused.length) {
    content.push(make("p", { textContent: `Refused: ${plan.refused.length}.` }), lines(inWords(plan.refused), "is-bad"));
  }
  return content;
}

const send = inTurn(async (what, ids) => {
  const answer = await post("/cosmos/runs/order", { what, ids });
  if (!answer) return;
  const made = Object.values(answer.made);
  if (answer.refused.length) sayEach(answer.refused);
  if (!made.length) return;
  const text = ids.length === 1 ? `${runs(ids)}: ${WHAT[what].one}.` : `${count(made.length, WHAT[what].thing)} ordered.`;
  done(text, { orders: made }, [text, answer.starts].filter(Boolean).join(" "));
});
