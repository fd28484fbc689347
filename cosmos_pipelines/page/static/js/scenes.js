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

const shown = document.querySelector("#show-prepare");
shown?.addEventListener("click", () => {
  const panel = document.querySelector("#prepare");
  panel.hidden = !panel.hidden;
  shown.setAttribute("aria-expanded", String(!panel.hidden));
  if (!panel.hidden) panel.querySelector("input").focus();
});
if (shown) bind("n", "Prepare a scene", () => shown.click());
