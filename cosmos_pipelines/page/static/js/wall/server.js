// What the wall asks the server for: always with the filters of its address.
import { say } from "../toast.js";
import { read } from "../read.js";

// The query string of the wall with other names besides, or in their place.
export function search(more = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(more)) {
    query.delete(name);
    for (const one of [value ?? []].flat()) query.append(name, one);
  }
  return `?${query}`;
}

// The elements of tiles by run; null if the server does not answer.
export async function tilesOf(ids) {
  const query = new URLSearchParams(ids.map((id) => ["id", id]));
  try {
    const answer = await read(`/cosmos/wall/tiles?${query}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const made = document.createElement("template");
    made.innerHTML = await answer.text();
    return new Map([...made.content.querySelectorAll("[data-run]")].map((tile) => [tile.dataset.run, tile]));
  } catch {
    say("The tiles could not be read. Is `cosmos ui` running?", { bad: true });
    return null;
  }
}
