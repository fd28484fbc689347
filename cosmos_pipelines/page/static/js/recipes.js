// Recipes: the form says live what an engine refuses and what a recipe of the same name would lose.
import { ask, asking } from "./ask.js";
import { fill, filled, showAbilities, showCounts, showProblems } from "./settings.js";
import { say } from "./toast.js";
import { read } from "./read.js";

const form = document.querySelector("#recipe");
const engines = JSON.parse(form.dataset.engines);
const part = (id) => document.getElementById(id);
const recipe = () => ({ name: part("name").value, engine: part("engine").value, filled: filled() });
const go = (name) => { location.href = `/cosmos/recipes?${new URLSearchParams({ recipe: name })}`; };
let replaces = false;

// ------------------------------------------------------------------------------ the form
const look = asking("/cosmos/recipes/draft", 150);

function changed() {
  showCounts();
  showAbilities(engines.find((one) => one.name === part("engine").value) ?? null);
  look(recipe(), show);
}

function problemsOf({ name, engine, ...others }) {
  showProblems(others);
  for (const [id, problem] of [["name", name], ["engine", engine]]) {
    part(`${id}-problem`).textContent = problem ?? "";
    problem ? part(id).setAttribute("aria-invalid", "true") : part(id).removeAttribute("aria-invalid");
  }
}

function show({ body, error }) {
  part("recipe-problem").textContent = error ?? "";
  if (error) return;
  problemsOf(body.problems);
  part("notes").replaceChildren(...body.notes.map((note) => paragraph(note)));
  replaces = body.replaces;
  const lines = body.changes.map(({ label, before, after }) => change(label, before, after));
  if (replaces) {
    const same = body.changes.length ? "would change:" : "has these settings already.";
    lines.unshift(paragraph(`The recipe ${body.name} ${same}`));
  }
  part("changes").replaceChildren(...lines);
  part("save").textContent = replaces ? `Replace ${body.name}` : "Save the recipe";
}

function paragraph(text) {
  return Object.assign(document.createElement("p"), { textContent: text });
}

function change(label, before, after) {
  const line = paragraph(`${label}: `);
  const text = (value) => (value === null ? "default" : typeof value === "object" ? JSON.stringify(value) : String(value));
  line.append(
    Object.assign(document.createElement("del"), { textContent: text(before) }), " becomes ",
    Object.assign(document.createElement("ins"), { textContent: text(after) }),
  );
  return line;
}

form.addEventListener("input", changed);
form.addEventListener("submit", (event) => event.preventDefault());
part("save").addEventListener("click", async () => {
  part("save").disabled = true;
  const { body, error } = await ask("/cosmos/recipes/save", { ...recipe(), replace: replaces });
  part("save").disabled = false;
  part("recipe-problem").textContent = error ?? "";
  if (error) return;
  if (body.problems) problemsOf(body.problems);
  else go(body.name);
});

// ------------------------------------------------------------------------------ the list
const rows = () => [...document.querySelectorAll("[data-recipe]")];

document.querySelector("#recipes")?.addEventListener("click", async (event) => {
  const act = event.target.dataset?.act;
  if (!act) return;
  const name = event.target.closest("[data-recipe]").dataset.recipe;
  act === "rename" ? rename(name) : remove(name);
});

function rename(name) {
  const dialog = part("rename");
  part("rename-title").textContent = `Rename ${name}`;
  part("new-name").value = name;
  part("rename-problem").textContent = "";
  dialog.dataset.name = name;
  dialog.showModal();
  part("new-name").select();
}

part("rename").querySelector("form").addEventListener("submit", async (event) => {
  if (event.submitter?.value !== "rename") return;
  event.preventDefault();
  const given = { name: part("rename").dataset.name, new: part("new-name").value };
  const { body, error } = await ask("/cosmos/recipes/rename", given);
  part("rename-problem").textContent = error ?? "";
  if (!error) go(body.name);
});

async function remove(name) {
  const { body, error } = await ask("/cosmos/recipes/delete", { name });
  part("list-problem").textContent = error ?? "";
  if (error) return;
  rows().find((row) => row.dataset.recipe === name)?.remove();
  compare();
  changed();
  const back = { name: body.name, engine: body.engine, filled: body.config, replace: false };
  say(`The recipe ${name} was deleted.`, {
    undo: async () => {
      const answer = await ask("/cosmos/recipes/save", back);
      answer.error ? say(answer.error, { bad: true }) : location.reload();
    },
  });
}

let compared = 0;

async function compare() {
  const number = compared += 1;
  const names = [...document.querySelectorAll("[name=compare]:checked")].map((box) => box.value);
  const query = new URLSearchParams(names.map((name) => ["name", name]));
  try {
    const answer = await read(`/cosmos/recipes/compare?${query}`, { headers: { "HX-Request": "true" } });
    const text = await answer.text();
    if (number === compared) part("compared").innerHTML = text; // made by our templates, which escape every text
  } catch {
    part("list-problem").textContent = "The server does not answer. Is `cosmos ui` running?";
  }
}

document.querySelector("#recipes")?.addEventListener("change", compare);
if (document.querySelector("[name=compare]:checked")) compare(); // chosen before this script came
fill(JSON.parse(form.dataset.filled));
changed();
