// One prompt: an enhancement is asked for once, also by a double click or after a reload; what is made
// of the prompt appears by itself.
import { ask, keyOf } from "./ask.js";
import { setCurrent, show } from "./selection.js";
import { steady } from "./steady.js";

const button = document.querySelector("#enhance");
const line = document.querySelector("#enhanced");

button.addEventListener("click", async () => {
  button.disabled = true;
  const path = button.closest("[data-enhance]").dataset.enhance;
  const { body, error } = await ask(path, { key: keyOf("enhance") });
  button.disabled = false;
  if (error) {
    line.textContent = error;
    line.className = "problem";
    return;
  }
  const link = document.createElement("a");
  link.href = `/cosmos/run/${body.runs[0]}`;
  link.textContent = body.new ? "Queued." : "It was queued already.";
  line.className = "";
  line.replaceChildren(link);
});

// ------------------------------------------------------------------------------ the news
const story = document.querySelector("#story");
const ofOthers = new Set(); // runs that were looked for here once, and are not of this prompt
const here = (id) => story.querySelector(`[data-run="${CSS.escape(id)}"]`);

document.body.addEventListener("cosmos:change", ({ detail }) => {
  const ours = detail.filter(({ kind, id }) => kind === "prompt" || (kind === "run" && !ofOthers.has(id)));
  for (const { kind, id } of detail) if (kind === "run" && !here(id)) ofOthers.add(id);
  if (ours.length) document.body.dispatchEvent(new CustomEvent("prompt:news"));
});
steady("prompt:story", ["prompt:news"], 1000);

let before = {};
story.addEventListener("htmx:beforeSwap", () => {
  before = {
    run: story.querySelector('[aria-current="true"]')?.dataset.run,
    link: story.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null,
  };
});
story.addEventListener("htmx:afterSwap", () => {
  for (const { dataset } of story.querySelectorAll("[data-run]")) ofOthers.delete(dataset.run);
  if (before.run && here(before.run)) setCurrent(here(before.run));
  if (before.link) story.querySelector(`a[href="${CSS.escape(before.link)}"]`)?.focus();
  show();
});
