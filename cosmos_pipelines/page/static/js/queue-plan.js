// The plan of the queue: what is scrolled and opened stays so when a newer plan comes.
const plan = document.querySelector("#queue-plan");
let left = 0;
let opened = [];
const details = () => [...plan.querySelectorAll("tr[id] details")];
const rowOf = (one) => one.closest("tr").id;

document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target !== plan) return;
  left = plan.querySelector(".lanes")?.scrollLeft ?? 0;
  opened = details().filter((one) => one.open).map(rowOf);
});
document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target !== plan) return;
  plan.querySelector(".lanes")?.scrollTo({ left, behavior: "instant" });
  for (const one of details()) one.open = opened.includes(rowOf(one));
});
