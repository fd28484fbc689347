// Requests that change something: JSON in, JSON out, with the token of this page.
import { say } from "./toast.js";
import { read } from "./read.js";

export function token() {
  return document.querySelector("meta[name=cosmos-token]").content;
}

// Returns the answer's JSON, or null after the error was said.
export async function post(path, data) {
  return ask(path, {
    method: "POST",
    body: JSON.stringify(data ?? {}),
    headers: { "Content-Type": "application/json" },
  });
}

export async function get(path, options = {}) {
  return ask(path, options);
}

async function ask(path, options) {
  try {
    const headers = { Accept: "application/json", "X-Cosmos-Token": token(), ...options.headers };
    const send = options.method ? fetch : read;
    const answer = await send(path, { ...options, headers });
    const body = await answer.json();
    if (answer.ok) return body;
    say([body.error, body.hint].filter(Boolean).join(" "), { bad: true });
  } catch (error) {
    if (error.name !== "AbortError") say("The server does not answer. Is `cosmos ui` running?", { bad: true });
  }
  return null;
}
