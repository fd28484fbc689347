// What a line of a log says: its text without codes for a terminal, its level, its time. Pure; the
// expressions come from the server (operate/log_rules.py), so that there is one table of them.
export const LONGEST = 16384; // bytes of a line that are shown
const TOLD = 2000; // characters of a line that are looked at for its level
const WORSE = { debug: 0, info: 1, warning: 2, error: 3 };

export class Rules {
  constructor(sent) {
    const { levels, ignores, time, remove } = sent;
    this.sent = sent;
    this.levels = levels.map(({ level, pattern, flags }) => [level, new RegExp(pattern, flags)]);
    this.ignores = ignores.map(({ pattern, flags }) => new RegExp(pattern, flags));
    this.time = new RegExp(time);
    this.remove = new RegExp(remove, "g");
  }

  // A line as it can be shown: no escape sequence, no control character, no other end of a line.
  shown(line) {
    if (!/[^\x20-\x7e]/.test(line)) return line;
    return line.replace(this.remove, "").replace(/[\u2028\u2029\r\n]/g, " ");
  }

  level(line) {
    const text = line.length > TOLD ? line.slice(0, TOLD) : line;
    for (const [level, pattern] of this.levels) {
      if (!pattern.test(text)) continue;
      if (level !== "error" || !this.ignores.some((ignored) => ignored.test(text))) return level;
    }
    return "";
  }

  timeOf(line) {
    return this.time.exec(line.slice(0, 60))?.[1] ?? "";
  }
}

// Whether a line is at least as bad as that: a line without a level counts as info.
export const isWorse = (level, least) => !least || WORSE[level || "info"] >= WORSE[least];

// The lines of a text that has no end of a line behind it: LF, CR LF and CR (of a progress bar).
export const split = (text) => text.split(/\r\n|\n|\r/);

// What a user asks for: {words} that a line must have, or {pattern}, an expression between slashes
// (`/.../i`: capital or not). Throws a SyntaxError for a bad expression.
export function asked(text) {
  const between = /^\/(.+)\/(i?)$/.exec(text.trim());
  if (between) return { pattern: new RegExp(between[1], between[2]), words: [] };
  return { pattern: null, words: text.toLowerCase().split(/\s+/).filter(Boolean) };
}
