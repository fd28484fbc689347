// The order form: its state is the address, its plan is told live, and one key queues it once.
import { ask, asking, keyOf, renewKey } from "./ask.js";
import { bind } from "./keys.js";
import { begin, promptIds } from "./order_pick.js";
import { fill, filled, showAbilities, showCounts, showProblems } from "./settings.js";

const MOST_IN_ADDRESS = 100;
const form = document.querySelector("#order");
const engines = JSON.parse(form.dataset.engines);
const plan = document.querySelector("#plan");
const button = document.querySelector("#queue");
const line = document.querySelector("#order-problem");
const queued = document.querySelector("#queued");
const part = (id) => document.getElementById(id);
const recipeBoxes = () => [...form.querySelectorAll("[name=recipe]")];
let shown = null; // the number of runs that the plan on screen says
let sent = ""; // the order that was queued from this page, as text

const order = () => ({
  prompts: promptIds(),
  recipes: recipeBoxes().filter((box) => box.checked).map((box) => box.value),
  seeds: part("seeds").value,
  engine: part("engine").value,
  backend: part("backend").value,
  upscale: part("upscale").checked,
  filled: filled(),
});

// ------------------------------------------------------------------------------ the state
function fromAddress() {
  const query = new URLSearchParams(location.search);
  const again = JSON.parse(form.dataset.again) ?? {};
  let settings = again.filled ?? {};
  try { settings = JSON.parse(query.get("settings")) ?? settings; } catch { /* not ours */ }
  return {
    prompts: query.getAll("prompt").length ? query.getAll("prompt") : again.prompts ?? [],
    recipes: query.getAll("recipe"),
    seeds: query.get("seeds") ?? again.seeds ?? "",
    engine: query.get("engine") ?? again.engine ?? "",
    backend: query.get("backend") ?? again.backend ?? "",
    upscale: query.get("upscale") === "1",
    filled: settings,
  };
}

function keep(now) {
  const query = new URLSearchParams();
  const run = new URLSearchParams(location.search).get("run");
  if (run) query.set("run", run);
  for (const id of now.prompts.slice(0, MOST_IN_ADDRESS)) query.append("prompt", id);
  for (const name of now.recipes) query.append("recipe", name);
  for (const name of ["seeds", "engine", "backend"]) {
    if (now[name] || run) query.set(name, now[name]);
  }
  if (now.upscale) query.set("upscale", "1");
  if (Object.keys(now.filled).length || run) query.set("settings", JSON.stringify(now.filled));
  history.replaceState({ ...history.state, order: now }, "", `?${query}`);
}

function put(state) {
  for (const box of recipeBoxes()) box.checked = state.recipes.includes(box.value);
  part("seeds").value = state.seeds;
  part("engine").value = state.engine;
  const place = [...part("backend").options].find((one) => one.dataset.name === state.backend);
  part("backend").value = place?.value ?? "";
  part("upscale").checked = state.upscale === true;
  fill(state.filled);
}

// ------------------------------------------------------------------------------ the plan
const look = asking("/cosmos/order/plan", 120);

function changed() {
  const now = order();
  keep(now);
  showCounts();
  const named = now.engine || (now.recipes.length ? null : engines.find((one) => one.default)?.name);
  showAbilities(engines.find((one) => one.name === named) ?? null);
  form.querySelector("#pick-recipes [data-count]").textContent = now.recipes.length ? `${now.recipes.length} chosen` : "";
  part("batch_name").placeholder = nameOf(now);
  // after an order was queued, another one gets a key of its own
  if (sent && JSON.stringify(now) !== sent) { sent = ""; renewKey("order"); queued.hidden = true; }
  if (plan.hasChildNodes()) plan.setAttribute("aria-busy", "true");
  button.disabled = true;
  look(now, show);
}

function show({ body, error }) {
  plan.removeAttribute("aria-busy");
  line.textContent = error ?? "";
  if (error) { shown = null; button.textContent = "Queue"; return; }
  const { seeds, ...others } = body.problems;
  showProblems(others);
  part("seeds-problem").textContent = seeds ?? "";
  seeds ? part("seeds").setAttribute("aria-invalid", "true") : part("seeds").removeAttribute("aria-invalid");
  shown = body.runs;
  if (body.html) plan.innerHTML = body.html; // made by our templates, which escape every text
  else {
    const wrong = Object.keys(body.problems).length;
    const said = wrong ? "A setting is refused: see the line beside it." : "Choose a prompt.";
    plan.replaceChildren(Object.assign(document.createElement("p"), { className: "muted", textContent: said }));
  }
  const all = body.runs + body.refused * (part("upscale").checked ? 2 : 1);
  const of = body.refused ? `${body.runs} of ${all}` : `${body.runs}`;
  button.textContent = body.runs ? `Queue ${of} run${all === 1 ? "" : "s"}` : "Queue";
  button.disabled = body.runs === 0;
  part("plan-said").textContent = all ? `${of} run${all === 1 ? "" : "s"} possible` : "";
}

// ------------------------------------------------------------------------------ the order
function nameOf(now) {
  const first = document.querySelector("#prompts-chosen b")?.textContent ?? "";
  const more = now.prompts.length > 1 ? ` and ${now.prompts.length - 1} more` : "";
  return `${form.dataset.opened} ${first.slice(0, 60)}${more}`.trim();
}

form.addEventListener("submit", (event) => event.preventDefault()); // Enter in a field orders nothing
button.addEventListener("click", async () => {
  button.disabled = true;
  const now = order();
  const batch = part("batch_name").value.trim() || nameOf(now);
  const priority = Number(part("priority").value || 0);
  const { body, error } = await ask("/cosmos/order", { ...now, key: keyOf("order"), batch_name: batch, shown, priority });
  button.disabled = false;
  line.textContent = error ?? "";
  if (error) { look(order(), show); return; }
  if (body.problems) { showProblems(body.problems); return; }
  sent = JSON.stringify(now);
  tell(body, batch);
});

function tell(body, batch) {
  const count = (number) => `${number} run${number === 1 ? "" : "s"}`;
  const before = Object.entries(body.statuses).map(([status, number]) => `${number} ${status}`).join(", ");
  const said = document.createElement("p");
  said.textContent = [
    body.new ? `${count(body.new)} queued.` : "Nothing new was queued.",
    before && `Queued with this order before: ${before}.`,
    body.starts,
  ].filter(Boolean).join(" ");
  const wall = link(`/cosmos/?${new URLSearchParams({ batch: batch.toLowerCase() })}`, "See them on the wall");
  const cancel = act(`Undo: cancel what has not begun`, () => undo(body.runs));
  const again = act("Order the same again", () => { sent = ""; renewKey("order"); queued.hidden = true; });
  queued.replaceChildren(said, wall, link("/cosmos/queue", "Queue"), cancel, again);
  queued.hidden = false;
}

async function undo(runs) {
  const { body, error } = await ask("/cosmos/order/undo", { runs });
  if (error) { line.textContent = error; return; }
  const others = Object.entries(body.statuses).map(([status, number]) => `${number} ${status}`).join(", ");
  const said = document.createElement("p");
  said.textContent = `${body.cancelled.length} cancelled.${others ? ` Not cancelled: ${others}.` : ""}`;
  queued.replaceChildren(said);
  sent = "";
  renewKey("order");
}

function link(href, text) {
  return Object.assign(document.createElement("a"), { href, textContent: text });
}

function act(text, does) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", does);
  return made;
}

form.addEventListener("input", (event) => {
  if (event.target.closest(".pick-filters, .order-plan, #pick-prompts")) return;
  changed();
});
part("recipe-words")?.addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const item of form.querySelectorAll("#pick-recipes li")) {
    item.hidden = !words.every((word) => item.textContent.toLowerCase().includes(word));
  }
});

bind("/", "Search the prompts", () => part("prompt-words").focus());
bind("r", "Go to the recipes", () => { location.href = "/cosmos/recipes"; });

const minute = new Date();
const month = minute.toLocaleString("en", { month: "short" }).toLowerCase();
const two = (number) => String(number).padStart(2, "0");
form.dataset.opened = `${minute.getDate()} ${month} ${two(minute.getHours())}:${two(minute.getMinutes())}`;
const state = history.state?.order ?? fromAddress();
keyOf("order");
put(state);
await begin(state.prompts, changed);
changed();
