// The element of one line: its number, its time, its text. What a model printed is text, never markup.
import { LONGEST } from "./lines.js";

const decoder = new TextDecoder();

// line: {start, end, bytes} of blocks.js. number: from 1, null while it is not known; came: when the
// line was seen to come; other(text): whether it is another run's; words: those to mark, in small letters.
export function rowOf(line, rules, { number, marked, came, other, words }) {
  const text = rules.shown(decoder.decode(line.bytes));
  const level = rules.level(text);
  const row = element("div", "log-row");
  if (level) row.classList.add(`is-${level}`);
  row.classList.toggle("is-other", other(text));
  row.classList.toggle("is-marked", Boolean(marked));
  const link = element("a", "log-number");
  if (number !== null) {
    link.href = `#L${number}`;
    link.textContent = number;
  }
  const time = element("span", "log-time");
  time.textContent = rules.timeOf(text) || came?.toTimeString().slice(0, 8) || "";
  const shown = element("span", "log-text");
  shown.append(...parts(text, words), more(line));
  row.append(link, time, shown);
  return row;
}

function parts(text, words) {
  const low = text.toLowerCase();
  if (!words.length || low.length !== text.length) return [text];
  const found = [];
  let at = 0;
  for (;;) {
    const hits = words.map((word) => [low.indexOf(word, at), word]).filter(([place]) => place >= 0);
    if (!hits.length) return [...found, text.slice(at)];
    const [place, word] = hits.reduce((a, b) => (b[0] < a[0] ? b : a));
    const mark = element("mark", "");
    mark.textContent = text.slice(place, place + word.length);
    found.push(text.slice(at, place), mark);
    at = place + word.length;
  }
}

// What is said of the rest of a line that is longer than what is shown.
function more({ start, end, bytes }) {
  if (bytes.length < LONGEST) return "";
  if (end === null) return " \u2026 and more";
  return end - start > LONGEST ? ` \u2026 and ${end - start - LONGEST} bytes more` : "";
}

function element(name, className) {
  return Object.assign(document.createElement(name), { className });
}
