// A new prompt: what is typed is kept in this browser until it is saved, and told live what it is.
import { ask, asking } from "./ask.js";

const form = document.querySelector("#prompt-form");
const kept = document.querySelector("#kept");
const own = `cosmos-prompt-${form.dataset.parent || "new"}`;
const part = (id) => document.getElementById(id);
const values = () => ({
  text: form.elements.text.value,
  negative_prompt: form.elements.negative_prompt.value,
  scene: new FormData(form).get("scene") ?? "",
  parent: form.dataset.parent,
});
const first = JSON.stringify(values());
let touched = false;

const storage = {
  read() { try { return JSON.parse(localStorage.getItem(own)); } catch { return null; } },
  write(value) { try { localStorage.setItem(own, JSON.stringify(value)); } catch { /* not kept */ } },
  drop() { try { localStorage.removeItem(own); } catch { /* nothing was kept */ } },
};

function fill({ text, negative_prompt, scene }) {
  form.elements.text.value = text ?? "";
  form.elements.negative_prompt.value = negative_prompt ?? "";
  for (const radio of form.querySelectorAll("[name=scene]")) radio.checked = radio.value === scene;
}

function showProblems(problems) {
  for (const name of ["text", "negative_prompt", "scene"]) {
    part(`${name}-problem`).textContent = problems[name] ?? "";
    const field = name === "scene" ? form.querySelector("fieldset") : form.elements[name];
    problems[name] ? field.setAttribute("aria-invalid", "true") : field.removeAttribute("aria-invalid");
  }
}

function count(id, number, most) {
  part(id).textContent = `${number.toLocaleString("en")} of ${most.toLocaleString("en")} characters`;
  part(id).classList.toggle("is-over", number > most);
}

function warn(id, engines) {
  const who = Map.groupBy(engines, (one) => one.says);
  const lines = [...who].map(([says, those]) => Object.assign(document.createElement("li"), {
    textContent: `${those.map((one) => one.label).join(" and ")} would refuse it: ${says}`,
  }));
  part(id).replaceChildren(...lines);
}

function show({ body, error }) {
  part("form-problem").textContent = error ?? "";
  if (error) return;
  count("text-count", body.characters, body.most);
  count("negative-count", body.negative_characters, body.most);
  part("name").value = body.name ?? "";
  const { text, scene, ...others } = body.problems;
  // what was not touched yet is not blamed
  showProblems(touched && form.elements.text.value ? { ...others, text } : others);
  warn("text-warnings", body.engines.filter((one) => one.about === "text"));
  warn("scene-warnings", body.engines.filter((one) => one.about === "scene"));
  const link = part("same").querySelector("a");
  part("same").hidden = !body.same || body.same === form.dataset.parent;
  if (body.same) link.href = `/cosmos/prompt/${body.same}`;
  else link.removeAttribute("href");
  link.textContent = body.same ?? "";
}

const look = asking("/cosmos/prompts/draft", 200);

form.addEventListener("input", (event) => {
  if (event.target.id === "scene-words") return;
  touched = true;
  storage.write(values());
  look(values(), show);
});

part("scene-words")?.addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const label of form.querySelectorAll(".scene")) {
    label.hidden = !words.every((word) => label.textContent.toLowerCase().includes(word));
  }
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const then = event.submitter?.value;
  const buttons = form.querySelectorAll(".acts button");
  buttons.forEach((button) => { button.disabled = true; });
  const { body, error } = await ask("/cosmos/prompts", values());
  buttons.forEach((button) => { button.disabled = false; });
  part("form-problem").textContent = error ?? "";
  if (error) return;
  if (body.problems) {
    showProblems(body.problems);
    form.querySelector("[aria-invalid=true]")?.focus();
    return;
  }
  storage.drop();
  location.href = then === "order" ? `/cosmos/new?prompt=${body.id}` : `/cosmos/prompt/${body.id}`;
});

part("discard").addEventListener("click", () => {
  storage.drop();
  fill(JSON.parse(first));
  kept.hidden = true;
  look(values(), show);
});

const before = storage.read();
if (before && JSON.stringify({ ...JSON.parse(first), ...before }) !== first) {
  fill({ ...before, scene: before.scene || JSON.parse(first).scene });
  kept.hidden = false;
}
look(values(), show);
