// The filter bar: what is typed is completed from the project; a change is another address.
import { get } from "../post.js";

const WAIT_MS = 120;
let numbers = null; // the recorded numbers by which runs can be sorted

export function bindFilters(wall, go) {
  const form = wall.querySelector("#filters");
  const apply = (focus) => go(addressOf(form), { focus });
  offerNumbers(form.elements.sort);
  form.addEventListener("submit", (event) => { event.preventDefault(); apply("#words"); });
  form.addEventListener("change", (event) => {
    const { id, name, value } = event.target;
    if (id === "words" && value.trim() === (new URLSearchParams(location.search).get("words") ?? "")) return;
    apply(id === "words" ? null : `#filters [name="${name}"]:not([type=hidden])`);
  });
  for (const input of form.querySelectorAll("input[list]")) {
    let timer = null;
    const later = () => { clearTimeout(timer); timer = setTimeout(() => complete(input), WAIT_MS); };
    input.addEventListener("focus", () => complete(input));
    input.addEventListener("input", (event) => {
      // a value that was chosen from the list comes without a key of the keyboard
      const chosen = !event.inputType || event.inputType === "insertReplacementText";
      if (chosen && input.value.trim()) apply(input.id === "words" ? "#words" : null);
      else later();
    });
    input.addEventListener("keydown", (event) => { if (event.key === "Escape") input.blur(); });
  }
}

// The address that the form says: without fields that are empty.
function addressOf(form) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const usual = (name === "sort" && value === "newest") || (name === "across" && value === "recipe");
    if (!value.trim() || usual) continue;
    const several = name !== "rating" && name !== "since" && name !== "of" && name !== "words";
    if (several ? query.getAll(name).includes(value.trim()) : false) continue;
    if (several) query.append(name, value.trim());
    else query.set(name, fresh(form, name) ?? value.trim());
  }
  return `/cosmos/${query.size ? `?${query}` : ""}`;
}

// What was typed now, which comes before what was set before.
function fresh(form, name) {
  return form.querySelector(`input[name="${name}"]:not([type=hidden])`)?.value.trim() || null;
}

async function complete(input) {
  const query = new URLSearchParams({ name: input.name, text: input.value });
  const found = await get(`/cosmos/wall/values?${query}`);
  if (!found) return;
  const unit = input.name === "words" ? "prompt" : "run";
  input.list.replaceChildren(...found.map(({ value, number }) => {
    const label = number === null ? "" : `${number} ${unit}${number === 1 ? "" : "s"}`;
    return Object.assign(document.createElement("option"), { value, label });
  }));
}

// Adds the recorded numbers to the orders; the page came without them, since they take a while.
async function offerNumbers(sort) {
  numbers ??= get("/cosmos/wall/values?name=sort");
  const found = await numbers;
  if (!found) { numbers = null; return; }
  for (const [sign, label, arrow] of [["-", "Largest first", "↓"], ["", "Smallest first", "↑"]]) {
    const group = Object.assign(document.createElement("optgroup"), { label });
    for (const { value, words } of found) {
      const option = new Option(`${words} ${arrow}`, sign + value);
      if (sort.value === option.value) { sort.selectedOptions[0].remove(); option.selected = true; }
      group.append(option);
    }
    sort.append(group);
  }
}
