// The prompts of an order: found by words, chosen by boxes; those that are chosen stay in sight.
import { read as send } from "./read.js";

const chosen = new Map();
const chosenList = document.querySelector("#prompts-chosen");
const foundList = document.querySelector("#prompts-found");
const more = document.querySelector("#prompts-more");
const words = document.querySelector("#prompt-words");
const scene = document.querySelector("#prompt-scene");
let changed = () => {};
let running = null;
let timer = 0;

export const promptIds = () => [...chosen.keys()];

// `onChange` is called whenever other prompts are chosen.
export async function begin(ids, onChange) {
  changed = onChange;
  for (const id of ids) chosen.set(id, { id, name: id, scene: "", text: "" });
  const known = ids.length ? await read(new URLSearchParams(ids.map((id) => ["id", id]))) : null;
  for (const prompt of known?.prompts ?? []) chosen.set(prompt.id, prompt);
  await find();
}

async function read(query) {
  running?.abort();
  running = new AbortController();
  try {
    const headers = { Accept: "application/json" };
    const answer = await send(`/cosmos/order/prompts?${query}`, { headers, signal: running.signal });
    const body = await answer.json();
    more.textContent = body.error ?? (body.more ? "More prompts are there: add words." : "");
    return body.error ? { prompts: [] } : body;
  } catch (error) {
    if (error.name !== "AbortError") more.textContent = "The server does not answer. Is `cosmos ui` running?";
    return null;
  }
}

async function find() {
  const found = await read(new URLSearchParams({ words: words.value, scene: scene.value }));
  if (!found) return;
  if (!found.prompts.length && !more.textContent) more.replaceChildren(...none());
  foundList.replaceChildren(...found.prompts.map(row));
  show();
}

function none() {
  if (words.value.trim() || !scene.value) return ["No prompt has these words."];
  const link = document.createElement("a");
  link.href = `/cosmos/prompts/new?${new URLSearchParams({ scene: scene.value })}`;
  link.textContent = "Write one";
  return [`${scene.value} has no prompt yet. `, link, "."];
}

function row(prompt) {
  const item = document.createElement("li");
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", value: prompt.id, checked: chosen.has(prompt.id) });
  const name = Object.assign(document.createElement("b"), { textContent: prompt.name });
  const about = Object.assign(document.createElement("span"), { className: "muted", textContent: `${prompt.scene} · ${prompt.text}` });
  label.title = prompt.text;
  label.append(box, " ", name, " ", about);
  item.append(label);
  box.addEventListener("change", () => {
    box.checked ? chosen.set(prompt.id, prompt) : chosen.delete(prompt.id);
    show();
    changed();
  });
  item.prompt = prompt;
  return item;
}

function show() {
  const here = document.activeElement?.value;
  chosenList.replaceChildren(...[...chosen.values()].map(row));
  for (const item of foundList.children) item.hidden = chosen.has(item.prompt.id);
  for (const box of foundList.querySelectorAll("input")) box.checked = chosen.has(box.value);
  document.querySelector("#pick-prompts [data-count]").textContent = chosen.size ? `${chosen.size} chosen` : "";
  // the box that was used moved to the other list: the focus follows it
  if (here) document.querySelector(`#pick-prompts li:not([hidden]) input[value="${CSS.escape(here)}"]`)?.focus();
}

document.querySelector("#pick-prompts").addEventListener("click", (event) => {
  if (event.target.matches("[data-all]")) for (const { prompt } of foundList.children) chosen.set(prompt.id, prompt);
  else if (event.target.matches("[data-none]")) chosen.clear();
  else return;
  show();
  changed();
});
words.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(find, 150); });
words.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
scene.addEventListener("change", find);
