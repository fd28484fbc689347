// The list of prompts: the address follows the filters, and chosen prompts can be ordered.
import { bind } from "./keys.js";

const filters = document.querySelector("#filters");
const order = document.querySelector("#order");
const list = document.querySelector("#prompts");

filters.addEventListener("submit", (event) => event.preventDefault());
document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target !== filters) return;
  const query = new URLSearchParams([...new FormData(filters)].filter(([, value]) => value.trim()));
  history.replaceState(history.state, "", query.size ? `?${query}` : location.pathname);
});

const chosen = () => [...list.querySelectorAll("[name=prompt]:checked")].map((box) => box.value);

function show() {
  const count = chosen().length;
  order.hidden = count === 0;
  order.textContent = `Order videos of ${count} prompt${count === 1 ? "" : "s"}`;
}

list.addEventListener("change", show);
list.addEventListener("htmx:afterSwap", () => {
  show();
  document.querySelector("#prompts-said").textContent = `${list.querySelectorAll(".prompt").length} prompts shown`;
});
order.addEventListener("click", () => {
  location.href = `/cosmos/new?${new URLSearchParams(chosen().map((id) => ["prompt", id]))}`;
});
bind("/", "Search the prompts", () => document.querySelector("#words").focus());
bind("n", "Write a new prompt", () => { location.href = "/cosmos/prompts/new"; });
