// The plan of the queue: what is scrolled stays so when a newer plan comes.
const plan = document.querySelector("#queue-plan");
let left = 0;

document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target === plan) left = plan.querySelector(".lanes")?.scrollLeft ?? 0;
});
document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target === plan) plan.querySelector(".lanes")?.scrollTo({ left, behavior: "instant" });
});
