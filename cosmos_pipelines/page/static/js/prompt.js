// One prompt: an enhancement is asked for once, also by a double click or after a reload.
import { ask, keyOf } from "./ask.js";

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
