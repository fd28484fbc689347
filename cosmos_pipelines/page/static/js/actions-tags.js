// Tags of the chosen runs: add with completion, remove with a click; each change can be undone.
import { alone, dialog, make } from "./actions-dialog.js";
import { runs, tag } from "./actions-marks.js";
import { post } from "./post.js";

export const askTags = alone(async (ids) => {
  const found = await post("/cosmos/runs/tagged", { ids });
  if (!found) return;
  const now = make("p", { className: "action-tags" });
  const known = make("datalist", { id: "known-tags" });
  const field = make("input", { type: "text", name: "tag", autocomplete: "off", maxLength: 200 });
  field.setAttribute("list", known.id);
  field.setAttribute("aria-label", "Add a tag");
  field.placeholder = "Add a tag, Enter";
  const form = make("form", { className: "action-form" }, field, make("button", { type: "submit", textContent: "Add" }), known);
  show(found);

  function show({ tags, known: all }) {
    const chips = Object.entries(tags).sort().map(([name, of]) => {
      const all_have = of === ids.length;
      const chip = make("button", { type: "button", className: "tag", textContent: all_have ? `${name} ×` : `${name} (${of}) ×` });
      chip.setAttribute("aria-label", `Remove the tag ${name}${all_have ? "" : ` from ${of} of ${ids.length} runs`}`);
      chip.addEventListener("click", () => change({ remove: [name] }));
      return chip;
    });
    now.replaceChildren(...(chips.length ? chips : ["No tags."]));
    known.replaceChildren(...all.map((name) => make("option", { value: name })));
  }

  async function change(what) {
    await tag(ids, what);
    const again = await post("/cosmos/runs/tagged", { ids });
    if (again) show(again);
    field.focus();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = field.value.trim();
    field.value = "";
    if (name) change({ add: [name] });
  });
  dialog(`Tags of ${runs(ids)}`, [now, form], [["Done", null]]);
  field.focus();
});
