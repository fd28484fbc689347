// Scenes: pictures move under the pointer or the focus, one that cannot be read is said in words.
import { bind } from "./keys.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

for (const card of document.querySelectorAll(".scene-card")) {
  const picture = card.querySelector("img[data-moving]");
  const still = picture?.getAttribute("src");
  const move = () => { if (picture?.isConnected && !calm.matches) picture.src = picture.dataset.moving; };
  const rest = () => { if (picture?.isConnected) picture.src = still; };
  card.addEventListener("pointerenter", move);
  card.addEventListener("pointerleave", rest);
  card.addEventListener("focusin", move);
  card.addEventListener("focusout", rest);
}

async function unreadable(picture) {
  const box = document.createElement("span");
  box.className = "no-picture";
  box.textContent = "This pass cannot be shown.";
  picture.replaceWith(box);
  const answer = await fetch(picture.src).catch(() => null);
  if (answer && !answer.ok) box.textContent = await answer.text();
}

for (const picture of document.querySelectorAll(".scene-picture img, .pass-grid img")) {
  picture.addEventListener("error", () => unreadable(picture), { once: true });
  if (picture.complete && picture.naturalWidth === 0 && picture.currentSrc) unreadable(picture);
}

document.querySelector("#segment-words")?.addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const row of document.querySelectorAll(".segments tbody tr")) {
    const name = row.querySelector("th").textContent.toLowerCase();
    row.hidden = !words.every((word) => name.includes(word));
  }
});

// The dialog: what was typed stays while it is closed. What would be prepared is what was shown, so
// a change of the form asks for another look first.
const prepare = document.querySelector("#prepare");
if (prepare) {
  const show = () => {
    if (prepare.open) return;
    prepare.showModal();
    prepare.querySelector("#f-directory").focus();
  };
  bind("n", "Prepare a scene", show);
  document.querySelector("#show-prepare").addEventListener("click", show);
  document.querySelector("#close-prepare").addEventListener("click", () => prepare.close());
  prepare.addEventListener("input", (event) => {
    const button = prepare.querySelector("#prepare-now");
    if (!button || event.target.name === "description") return;
    button.disabled = true;
    prepare.querySelector("#look-first").hidden = false;
  });
  prepare.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful && event.target.classList.contains("prepare-now")) prepare.close();
  });
  if ("opened" in prepare.dataset) show();
}
