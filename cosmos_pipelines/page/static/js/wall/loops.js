// A still plays its loop while the mouse or the keyboard is on it; all that are visible on demand.
// Where the system asks for less motion, nothing moves by itself.
const still = matchMedia("(prefers-reduced-motion: reduce)");
let all = false;
const playing = new Map(); // still -> loop

export function watchLoops(root) {
  root.addEventListener("pointerover", (event) => over(event.target));
  root.addEventListener("pointerout", (event) => {
    const tile = event.target.closest("[data-run]");
    if (tile && !tile.contains(event.relatedTarget) && !tile.matches(":focus-within")) stop(tile);
  });
  root.addEventListener("focusin", (event) => over(event.target));
  root.addEventListener("focusout", (event) => {
    const tile = event.target.closest("[data-run]");
    if (tile && !tile.contains(event.relatedTarget)) stop(tile);
  });
  root.addEventListener("error", (event) => missing(event.target), true);
  update(root);
}

// Whether all visible loops play now.
export function toggleAll(root) {
  all = !all;
  update(root);
  return all;
}

// Plays the tiles in the window while all play, and none elsewhere.
export function update(root) {
  for (const tile of root.querySelectorAll("[data-run]")) {
    const picture = tile.querySelector("img:not(.loop)");
    if (picture?.complete && !picture.naturalWidth) missing(picture); // before anybody listened
    if (!all && !playing.size) continue;
    const box = tile.getBoundingClientRect();
    const visible = box.bottom > 0 && box.top < innerHeight;
    if (all && visible) play(tile);
    else if (!tile.matches(":hover, :focus-within") || !visible) stop(tile);
  }
  for (const [picture, loop] of playing) if (!picture.isConnected) { loop.remove(); playing.delete(picture); }
}

function over(target) {
  const tile = target.closest("[data-run]");
  if (tile && !still.matches) play(tile);
}

function play(tile) {
  const picture = tile.querySelector("img[data-loop]");
  if (!picture || playing.has(picture)) return;
  const loop = Object.assign(document.createElement("img"), { className: "loop", alt: "" });
  playing.set(picture, loop);
  loop.addEventListener("load", () => { if (playing.get(picture) === loop) picture.after(loop); });
  loop.src = picture.dataset.loop;
}

function stop(tile) {
  const picture = tile.querySelector("img[data-loop]");
  if (all || !playing.has(picture)) return;
  playing.get(picture).remove();
  playing.delete(picture);
}

// Says in the place of a picture that its file is not there.
function missing(picture) {
  if (!picture.matches?.("[data-run] img:not(.loop)")) return;
  const line = document.createElement("p");
  line.className = "tile-line";
  line.textContent = "Its picture is not there any more.";
  picture.replaceWith(line);
}
