// News of the project: tiles on the screen change in their places; new runs wait for a click.
import { free } from "../parts.js";
import { get } from "../post.js";
import { goneTile } from "./field.js";
import { search, tilesOf } from "./server.js";

const WAIT_MS = 300;
const AT_ONCE = 60;

export class News {
  constructor(field, button, began, reload) {
    this.field = field;
    this.button = button;
    this.began = Date.parse(began); // when the server made this wall
    this.reload = reload;
    this.changed = new Map(); // id -> whether it was deleted
    this.fresh = new Set();
  }

  hear(changes) {
    for (const { kind, id, deleted } of changes) if (kind === "run") this.changed.set(id, deleted);
    this.timer ??= setTimeout(() => this.#look(), WAIT_MS);
  }

  // The stream has begun again: what changed in between is not known.
  async again() {
    this.hear([...this.field.shown.values()].filter((e) => e.dataset.run).map((e) => ({ kind: "run", id: e.dataset.run, deleted: false })));
    const page = await get(`/cosmos/wall/ids${search()}`);
    if (!page || this.field.left) return;
    const known = page.ids.findLastIndex((id) => this.field.index.has(id));
    const before = this.field.next ? page.ids.slice(0, known + 1) : page.ids;
    for (const id of before) if (!this.field.index.has(id)) this.fresh.add(id);
    this.#tell();
  }

  async #look() {
    const changed = this.changed;
    this.changed = new Map();
    for (const [id, deleted] of changed) if (deleted) this.#gone(id);
    // the number of a run in the queue changes with the runs before it
    for (const tile of this.field.root.querySelectorAll(".is-pending")) if (!changed.has(tile.dataset.run)) changed.set(tile.dataset.run, false);
    const ids = [...changed].filter(([, deleted]) => !deleted).map(([id]) => id);
    for (let at = 0; at < ids.length && !this.field.left; at += AT_ONCE) await this.#some(ids.slice(at, at + AT_ONCE));
    this.timer = this.changed.size && !this.field.left ? setTimeout(() => this.#look(), WAIT_MS) : null;
  }

  async #some(ids) {
    const known = ids.filter((id) => this.field.element(id));
    const unknown = ids.filter((id) => !this.field.index.has(id));
    const parents = unknown.length ? await this.#unknown(unknown) : [];
    const stale = [...new Set([...known, ...parents.filter((id) => this.field.element(id))])];
    const tiles = stale.length ? await tilesOf(stale) : null;
    await free(this.field.root);
    if (tiles) for (const id of stale) this.field.replace(tiles.get(id) ?? goneTile(id));
  }

  // Counts those that belong on the wall; returns the parents of the others.
  async #unknown(ids) {
    const answer = await get(`/cosmos/wall/news${search({ id: ids })}`);
    if (!answer || this.field.left) return [];
    for (const { id, created } of answer.found) {
      // of the others, that were there before, the ids have perhaps not come yet
      if (!this.field.next || Date.parse(created) > this.began) this.fresh.add(id);
    }
    if (this.fresh.size && !this.field.total) this.reload();
    this.#tell();
    return answer.parents;
  }

  #gone(id) {
    this.fresh.delete(id);
    if (this.field.element(id)) this.field.replace(goneTile(id));
    this.#tell();
  }

  #tell() {
    const number = this.fresh.size;
    this.button.hidden = number === 0;
    this.button.textContent = `${number} new`;
    this.button.title = "Show the new runs at their places";
  }
}
