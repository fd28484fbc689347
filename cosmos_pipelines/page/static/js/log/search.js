// A worker that reads a log in pieces and tells which lines are wanted. An expression of a user that
// takes for ever keeps only this worker busy: the page ends it (see `busy`).
import { asked, isWorse, split, Rules } from "./lines.js";
import { read } from "../read.js";

const PIECE = 1 << 18;
const MOST = 1_000_000; // lines that are told
const LONGEST = 1 << 16; // characters of a line that are looked at

onmessage = async ({ data: order }) => {
  try {
    await search(order);
  } catch (error) {
    postMessage({ error: error.message });
  }
};

// order: url, rules, from (offset), line (its number), text, least (level), other (ids of lines that
// are not wanted) and own, one (end at the first line).
async function search(order) {
  const rules = new Rules(order.rules);
  const wanted = wantedBy(order, rules);
  const decoder = new TextDecoder();
  let { from, line } = order;
  let rest = "";
  let told = 0;
  for (;;) {
    const answer = await read(`${order.url}/range?offset=${from}&size=${PIECE}`);
    if (!answer.ok) throw new Error("The log cannot be read any more.");
    const size = Number(answer.headers.get("X-Log-Size"));
    const bytes = new Uint8Array(await answer.arrayBuffer());
    from += bytes.length;
    const done = !bytes.length || from >= size;
    const text = rest + decoder.decode(bytes, { stream: true });
    const half = !done && text.endsWith("\r");
    const lines = split(half ? text.slice(0, -1) : text);
    rest = (lines.pop() ?? "").slice(0, LONGEST) + (half ? "\r" : "");
    postMessage({ busy: true });
    const found = [];
    for (const one of lines) {
      if (wanted(one)) found.push(line);
      line += 1;
      if (order.one && found.length) break;
    }
    if (done && rest && !(order.one && found.length) && wanted(rest)) found.push(line);
    told += found.length;
    const ended = done || told >= MOST || (order.one && found.length > 0);
    postMessage({ busy: false, found, from, size, ended, line, most: told >= MOST });
    if (ended) return;
  }
}

function wantedBy({ text, least, other, own }, rules) {
  const { pattern, words } = asked(text);
  return (raw) => {
    const line = rules.shown(raw.length > LONGEST ? raw.slice(0, LONGEST) : raw);
    if (pattern && !pattern.test(line)) return false;
    if (words.length) {
      const low = line.toLowerCase();
      if (!words.every((word) => low.includes(word))) return false;
    }
    if (other.length && !line.includes(own) && other.some((id) => line.includes(id))) return false;
    return !least || isWorse(rules.level(line), least);
  };
}
