// A request whose answer belongs beside a field, not into a message: it is given back, never said.
import { token } from "./post.js";
import { read } from "./read.js";

// Returns {body}, {error: sentence} or, if a newer request took its place, {gone: true}.
export async function ask(path, data, { signal, send = fetch } = {}) {
  try {
    const answer = await send(path, {
      method: "POST",
      body: JSON.stringify(data),
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-Cosmos-Token": token() },
      signal,
    });
    const body = await answer.json();
    if (answer.ok) return { body };
    return { error: [body.error, body.hint].filter(Boolean).join(" ") };
  } catch (error) {
    if (error.name === "AbortError") return { gone: true };
    return { error: "The server does not answer: what you typed is kept. Is `cosmos ui` running?" };
  }
}

// Asks after a pause for what the server only looks at; an older request that is still on its way is cancelled.
export function asking(path, pauseMs) {
  let timer = 0;
  let running = null;
  return (data, show) => {
    clearTimeout(timer);
    running?.abort();
    timer = setTimeout(async () => {
      running = new AbortController();
      const answer = await ask(path, data, { signal: running.signal, send: read });
      if (!answer.gone) show(answer);
    }, pauseMs);
  };
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The key of the order that this page would send: it outlives a reload, a way back, a copied tab.
export function keyOf(what) {
  const kept = history.state?.[`key-${what}`];
  return kept ?? renewKey(what);
}

export function renewKey(what) {
  const key = newKey();
  history.replaceState({ ...history.state, [`key-${what}`]: key }, "");
  return key;
}
