// The wall: one address is one wall. Another filter, order or view is another address, whose page is
// fetched and put in place of the old one; back and forward do the same.
import { rememberList } from "../actions-walk.js";
import { bind } from "../keys.js";
import { free } from "../parts.js";
import { show } from "../selection.js";
import { say } from "../toast.js";
import { Field } from "./field.js";
import { bindFilters } from "./filters.js";
import { Grid } from "./grid.js";
import { bindKeys } from "./keys.js";
import { toggleAll, update, watchLoops } from "./loops.js";
import { News } from "./news.js";
import { keepPlace, restorePlace } from "./place.js";
import { Tiles } from "./tiles.js";
import { read } from "../read.js";

history.scrollRestoration = "manual";
let field = null;
let news = null;
let screen = null; // the field of tiles or the grid
let asked = 0;
let later = null;
let going = null; // the address that was asked for and has not come
let shown = location.href.replace(location.hash, "");

function mount() {
  const wall = document.querySelector("#wall");
  const root = document.querySelector("#field");
  bindFilters(wall, go);
  const newer = document.querySelector("#newer");
  newer.addEventListener("click", () => go(location.href, { push: false, top: true }));
  field = news = screen = null;
  watchLoops(wall);
  if (root) {
    field = new Field(root, wall);
    news = new News(field, newer, wall.dataset.now, () => go(location.href, { push: false }));
    field.changed = () => { tiles.drawn(); update(root); };
    tiles.enter(field);
    screen = tiles;
    rememberList(() => field.ids);
  } else if (wall.querySelector("#grid")) {
    screen = new Grid(wall.querySelector("#grid"));
    rememberList(null);
  }
  show();
}

async function pageOf(url) {
  const answer = await read(url, { headers: { Accept: "text/html" } });
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// Shows the wall of another address. Links of the wall come here, other links do not.
export async function go(address, { push = true, top = push, focus = null } = {}) {
  const url = new URL(address, location.href);
  if (push && url.href === going) return;
  const number = asked += 1;
  going = url.href;
  try {
    const page = await pageOf(url);
    const wall = page.querySelector("#wall");
    if (number !== asked) return;
    if (!wall) { location.href = url; return; }
    if (push && url.href !== location.href) { keepPlace(field); history.pushState(null, "", url); }
    shown = url.href.replace(url.hash, "");
    const open = document.querySelector("#more")?.open;
    field?.leave();
    document.querySelector("#wall").replaceWith(document.adoptNode(wall));
    document.querySelector("#more").open = open ?? false;
    mount();
    if (focus) document.querySelector(focus)?.focus();
    if (top) scrollTo(0, 0);
    else await restorePlace(field);
  } catch {
    say("The server does not answer. Is `cosmos ui` running?", { bad: true });
  } finally {
    if (number === asked) going = null;
  }
}

const tiles = new Tiles();
bindKeys(() => screen);
mount();
restorePlace(field);
document.querySelector("#more").open = innerWidth >= 1100;
new ResizeObserver(([top]) => {
  document.documentElement.style.setProperty("--top", `${top.target.offsetHeight}px`);
}).observe(document.querySelector(".top"));

// News for a wall without tiles: an empty one is read anew, the cells of a grid change in place.
async function look() {
  later = null;
  if (!(screen instanceof Grid)) { go(location.href, { push: false }); return; }
  const grid = screen;
  const page = await pageOf(location.href).catch(() => null);
  await free(grid.table);
  if (!page || screen !== grid) return;
  const fresh = grid.update(page).length;
  show();
  const button = document.querySelector("#newer");
  button.hidden = !fresh;
  button.textContent = `${fresh} new`;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("#wall a[href]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
  keepPlace(field);
  const url = new URL(link.href);
  if (url.pathname !== "/cosmos/" || url.origin !== location.origin) return;
  event.preventDefault();
  go(url);
});
addEventListener("popstate", () => {
  if (location.href.replace(location.hash, "") !== shown) go(location.href, { push: false });
});
addEventListener("pagehide", () => keepPlace(field));
addEventListener("scroll", () => keepPlace(field, 200), { passive: true });
document.body.addEventListener("cosmos:change", (event) => {
  if (news) news.hear(event.detail);
  else if (event.detail.some(({ kind }) => kind === "run")) later ??= setTimeout(look, 500);
});
document.body.addEventListener("cosmos:hello", () => news?.again());

bind("/", "Search by words", () => { const words = document.querySelector("#words"); words.focus(); words.select(); });
bind("l", "Play all visible loops, or stop them", () => {
  toggleAll(document.querySelector("#wall"));
});
