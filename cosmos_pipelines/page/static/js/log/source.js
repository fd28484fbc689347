// A run's log as it is on the server, and what is added to it: pushed while the page is seen. A hidden
// page closes the stream and goes on from the same byte when it is seen again.
import { BLOCK, Blocks } from "./blocks.js";
import { read } from "../read.js";

const AGAIN_MS = 1000;

export class Source {
  // onChange: there are other lines; onReplaced: this name is another file now; onState(text, bad).
  constructor(runId, name, { onChange, onReplaced, onState }) {
    this.url = `/cosmos/log/${runId}/${name}`;
    this.runId = runId;
    this.name = name;
    Object.assign(this, { onChange, onReplaced, onState });
    this.generation = 0;
    this.came = new Map(); // when a line was seen to come, by its number
    this.blocks = new Blocks((offset, size) => this.#range(offset, size));
    this.following = null;
    this.closed = false;
  }

  async open(size) {
    await this.blocks.open(size);
    this.onChange();
    if (!this.blocks.starts) await this.#count();
  }

  async #count() {
    const answer = await read(`${this.url}/index`);
    if (!answer.ok) throw new Error("The lines of this log could not be counted.");
    const index = await answer.json();
    if (index.generation !== this.generation || index.block !== BLOCK) return this.onReplaced();
    const known = this.blocks.lines;
    this.blocks.count(index.starts);
    const shift = this.blocks.lines - known;
    this.came = new Map([...this.came].map(([line, when]) => [line + shift, when]));
    this.onChange(shift);
  }

  async #range(offset, size) {
    const answer = await read(`${this.url}/range?offset=${offset}&size=${size}`);
    if (!answer.ok) throw new Error("A part of this log could not be read.");
    const generation = Number(answer.headers.get("X-Log-Generation"));
    if (this.generation && generation !== this.generation) this.onReplaced();
    this.generation = generation;
    return { data: new Uint8Array(await answer.arrayBuffer()) };
  }

  // Follows the log until the run has ended; growing() asks whether it goes on.
  async follow(growing) {
    while (!this.closed && !document.hidden) {
      try {
        if (!(await this.#stream())) break;
        if (!(await growing())) break;
      } catch (error) {
        if (error.name === "AbortError") return;
        this.onState("The server does not answer: the log goes on when it does.", true);
      }
      await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
    }
    this.following = null;
  }

  async #stream() {
    this.following = new AbortController();
    const place = `offset=${this.blocks.size}&generation=${this.generation}`;
    const answer = await fetch(`/cosmos/log/${this.runId}/follow?${place}`, {
      signal: this.following.signal,
    });
    if (!answer.ok) return false;
    this.onState("");
    const reader = answer.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return true;
      const before = this.blocks.lines;
      this.blocks.append(value);
      const now = new Date();
      for (let line = before; line < this.blocks.lines; line++) this.came.set(line, now);
      if (this.came.size > 100_000) this.came.clear();
      this.onChange();
    }
  }

  // Reads what was added up to this size.
  async catchUp(size) {
    while (!this.closed && this.blocks.size < size) {
      const { data } = await this.#range(this.blocks.size, Math.min(BLOCK, size - this.blocks.size));
      if (!data.length) return;
      this.blocks.append(data);
      this.onChange();
    }
  }

  pause() {
    this.following?.abort();
    this.following = null;
  }

  close() {
    this.closed = true;
    this.pause();
  }
}
