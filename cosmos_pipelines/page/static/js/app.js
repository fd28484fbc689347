// What every screen has: news of the project, keys, messages, the theme, tokens on htmx's requests.
import { listen } from "./feed.js";
import { bind, help } from "./keys.js";
import "./parts.js";
import { token } from "./post.js";
import { say } from "./toast.js";

document.body.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-Cosmos-Token"] = token();
});
document.body.addEventListener("htmx:responseError", (event) => {
  const box = document.createElement("template");
  box.innerHTML = event.detail.xhr.responseText;
  say(box.content.textContent.trim() || "The page did not answer as expected.", { bad: true });
});
document.body.addEventListener("htmx:sendError", () => {
  say("The server does not answer. Is `cosmos ui` running?", { bad: true });
});

document.querySelector("#theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = getComputedStyle(root).colorScheme === "dark" ||
    (root.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("cosmos-theme", root.dataset.theme); } catch { /* not kept */ }
});
document.querySelector("#help").addEventListener("click", help);
bind("?", "This list of keys", help);
bind("g w", "Go to the wall", () => { location.href = "/cosmos/"; });
bind("g p", "Go to the prompts", () => { location.href = "/cosmos/prompts"; });
bind("g o", "Go to the order form", () => { location.href = "/cosmos/new"; });
bind("g s", "Go to the scenes", () => { location.href = "/cosmos/scenes"; });
bind("g q", "Go to the queue", () => { location.href = "/cosmos/queue"; });
document.addEventListener("DOMContentLoaded", listen);  // then the scripts of the screen hear the news
