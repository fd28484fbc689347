// A log as blocks of bytes, of which a few are kept; lines are found by number through the count of
// line ends before each block. Until the server has counted, only the end of the log is known.
import { LONGEST } from "./lines.js";

export const BLOCK = 1 << 18; // as in operate/log_index.py
const KEPT = 48; // blocks in memory: 12 MiB, whatever the size of the log
const LF = 10;
const CR = 13;

export class Blocks {
  // read(offset, size) gives {data: Uint8Array, size, generation}.
  constructor(read) {
    this.read = read;
    this.size = 0;
    this.starts = null; // line ends before each block, once they are counted
    this.first = 0; // the first block that is known while they are not
    this.kept = new Map();
    this.loading = new Map();
  }

  get last() { return Math.max(0, Math.ceil(this.size / BLOCK) - 1); }

  // Reads the end of the log: its last block, and the one before if that is short.
  async open(size) {
    this.size = size;
    const short = size - this.last * BLOCK < BLOCK / 4;
    this.first = Math.max(0, this.last - (short ? 1 : 0));
    const wanted = [];
    for (let block = this.first; block <= this.last; block++) wanted.push(this.load(block));
    await Promise.all(wanted);
    if (this.first === 0) this.count([0]);
  }

  // Takes the counts of the server for the blocks that it has counted; the others are counted here.
  count(starts) {
    this.starts = starts.slice(0, this.last + 1);
    this.first = 0;
    while (this.starts.length <= this.last) {
      const block = this.starts.length - 1;
      this.starts.push(this.starts[block] + this.kept.get(block).ends.length);
    }
  }

  load(block) {
    const there = this.kept.get(block);
    if (there) {
      this.kept.delete(block); // the last one that was used is the last one to go
      this.kept.set(block, there);
      return Promise.resolve(there);
    }
    if (!this.loading.has(block)) {
      const loaded = this.#fetch(block).finally(() => this.loading.delete(block));
      this.loading.set(block, loaded);
    }
    return this.loading.get(block);
  }

  async #fetch(block) {
    const from = block * BLOCK;
    const { data } = await this.read(from, Math.min(BLOCK, this.size - from) + 1);
    const known = Math.min(BLOCK, this.size - from); // it may have grown since
    const bytes = data.subarray(0, known);
    const made = { bytes, ends: endsOf(bytes, from, data[known]) };
    this.kept.set(block, made);
    for (const old of this.kept.keys()) {
      if (this.kept.size <= KEPT) break;
      if (old < this.last - 1) this.kept.delete(old);
    }
    return made;
  }

  // Adds what was written since, at the end.
  append(data) {
    while (data.length) {
      const block = Math.floor(this.size / BLOCK);
      const before = this.kept.get(block)?.bytes ?? new Uint8Array(0);
      const part = data.subarray(0, BLOCK - before.length);
      if (!before.length && block) this.#close(block - 1, part[0]);
      const bytes = new Uint8Array(before.length + part.length);
      bytes.set(before);
      bytes.set(part, before.length);
      this.kept.set(block, { bytes, ends: endsOf(bytes, block * BLOCK, undefined) });
      this.size += part.length;
      data = data.subarray(part.length);
    }
  }

  // The byte behind a full block is known now: a CR at its end has ended a line, or is half of one.
  #close(block, next) {
    const full = this.kept.get(block);
    full.ends = endsOf(full.bytes, block * BLOCK, next);
    if (this.starts) this.starts.push(this.starts[block] + full.ends.length);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
  }

  get lines() {
    const ended = this.#endedBefore(this.last) + (this.kept.get(this.last)?.ends.length ?? 0);
    const ends = this.kept.get(this.last)?.ends ?? [];
    const begun = (ends.length ? ends.at(-1) + 1 : this.last * BLOCK) < this.size;
    return ended + (begun ? 1 : 0);
  }

  #endedBefore(block) {
    if (this.starts) return this.starts[block];
    let found = 0;
    for (let one = this.first; one < block; one++) found += this.kept.get(one)?.ends.length ?? 0;
    return found;
  }

  // The block in which the n-th line end is (n from 1); the one behind the last if there is none.
  #blockOfEnd(n) {
    let low = this.first;
    let high = this.last;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#endedBefore(middle) < n) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  // Loads what is needed for these lines (from 0, the last one not included).
  async ensure(from, to) {
    const first = from ? this.#blockOfEnd(from) : this.first;
    const last = this.#blockOfEnd(to);
    const wanted = [];
    for (let block = first; block <= last && wanted.length < 6; block++) {
      if (!this.kept.has(block)) wanted.push(this.load(block));
    }
    if (wanted.length) await Promise.all(wanted);
    return wanted.length > 0;
  }

  // {start, end, bytes} of a line; null if it is not loaded. `bytes` are at most LONGEST of it.
  line(n) {
    const start = n ? this.#endAt(n) : this.first * BLOCK - 1;
    if (start === null) return null;
    const end = this.#endAt(n + 1) ?? (n + 1 >= this.lines ? this.size : null);
    const from = start + 1;
    const to = Math.min(end ?? from + LONGEST, from + LONGEST);
    const bytes = this.#bytes(from, to);
    return bytes && { start: from, end, bytes: trimmed(bytes) };
  }

  #endAt(n) {
    const block = this.#blockOfEnd(n);
    const place = n - this.#endedBefore(block) - 1;
    return this.kept.get(block)?.ends[place] ?? null;
  }

  #bytes(from, to) {
    const parts = [];
    for (let at = from; at < to; ) {
      const block = Math.floor(at / BLOCK);
      const kept = this.kept.get(block);
      if (!kept) return parts.length ? parts[0] : null;
      const part = kept.bytes.subarray(at - block * BLOCK, to - block * BLOCK);
      if (!part.length) break;
      parts.push(part);
      at += part.length;
    }
    if (parts.length < 2) return parts[0] ?? new Uint8Array(0);
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) { whole.set(part, at); at += part.length; }
    return whole;
  }
}

// Where lines end in a block (the place of LF, or of CR alone); `next` is the byte behind it.
export function endsOf(bytes, from, next) {
  const ends = [];
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === LF) ends.push(from + i);
    else if (bytes[i] === CR) {
      const behind = i + 1 < bytes.length ? bytes[i + 1] : next;
      if (behind !== undefined && behind !== LF) ends.push(from + i);
    }
  }
  return ends;
}

function trimmed(bytes) {
  let end = bytes.length;
  if (end && bytes[end - 1] === LF) end--;
  if (end && bytes[end - 1] === CR) end--;
  return bytes.subarray(0, end);
}
