// The steps that can be taken back, the last one first: `z`. They outlive the page, in this window.
import { refresh } from "./actions-state.js";
import { post } from "./post.js";
import { say } from "./toast.js";
import { inTurn } from "./turn.js";

const KEY = "cosmos-undo";
const MOST = 50;
const MOST_CHARACTERS = 2_000_000;

let steps = read();

function read() {
  try { return JSON.parse(sessionStorage.getItem(KEY)) ?? []; } catch { return []; }
}

function keep() {
  let text = JSON.stringify(steps);
  while (steps.length > MOST || (steps.length > 1 && text.length > MOST_CHARACTERS)) {
    steps.shift();
    text = JSON.stringify(steps);
  }
  try { sessionStorage.setItem(KEY, text); } catch { /* kept until the page is left */ }
}

// A step: its sentence, and either `undo` (of marks) or `orders` (ids of queued runs). Says the
// sentence, with a button that takes back just this step.
export function done(text, back, said = text) {
  const step = { id: crypto.randomUUID?.() ?? `${Date.now()} ${Math.random()}`, text, ...back };
  steps.push(step);
  keep();
  tell(said, { undo: inTurn(() => takeBack(step)) });
}

let told = null;

// One message at a time: who rates a run each second reads the last one.
function tell(text, options) {
  told?.remove();
  told = say(text, options);
}

export const undoLast = inTurn(async () => {
  const step = steps.at(-1);
  if (step) await takeBack(step); else say("There is nothing to undo.");
});

async function takeBack(step) {
  const at = steps.findIndex((one) => one.id === step.id);
  if (at < 0) return say("This was taken back already.");
  steps.splice(at, 1);
  keep();
  const said = step.orders ? await cancel(step) : await unmark(step);
  if (said) return tell(said);
  steps.splice(at, 0, step); // the server did not answer: it can be tried again
  keep();
}

async function unmark({ text, undo }) {
  const answer = await post("/cosmos/runs/undo", { undo });
  if (!answer) return null;
  refresh(undo.flatMap((part) => part.ids));
  const left = answer.failed.length;
  return left ? `Undone: ${text} ${left} of them changed since or are gone, and stay as they are.` : `Undone: ${text}`;
}

async function cancel({ text, orders }) {
  const answer = await post("/cosmos/runs/cancel", { ids: orders });
  if (!answer) return null;
  refresh(orders);
  const left = orders.length - answer.cancelled.length;
  return left ? `Undone: ${text} ${left} of ${orders.length} had begun or ended already.` : `Undone: ${text}`;
}
