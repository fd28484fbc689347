// The log on the page of a run: opens at its end when it is seen, follows, filters, finds errors.
import { get } from "../post.js";
import { bind } from "../keys.js";
import { Search } from "./filter.js";
import { asked, Rules } from "./lines.js";
import { rowOf } from "./row.js";
import { Rows } from "./rows.js";
import { Source } from "./source.js";

const SMALL = 16 << 20; // bytes of a log up to which other runs' lines are left out at once
const TYPING_MS = 250;
const AGAIN_MS = 300;

const root = document.querySelector("[data-log]");
const part = (name) => root.querySelector(`[data-log-${name}]`);
const runId = root.dataset.log;
const mates = JSON.parse(root.dataset.mates);
let rules = null;
let source = null;
let rows = null;
let found = null; // numbers of the lines that are wanted; null: all
let search = null;
let continuing = 0;
let marked = null; // {from, to}: lines of the address, from 1

const count = () => (found ? found.length : source?.blocks.lines ?? 0);
const lineOf = (row) => (found ? found[row] : row);
const wanted = () => ({
  text: part("words").value,
  least: part("level").value,
  other: part("own").checked ? mates : [],
  own: runId,
});
const filtered = () => { const w = wanted(); return Boolean(w.text.trim() || w.least || w.other.length); };

function state(text, bad = false) {
  part("state").textContent = text;
  part("state").classList.toggle("is-bad", bad);
}

function tell() {
  if (!source) return;
  const all = source.blocks.lines.toLocaleString("en");
  if (!source.blocks.starts) state("Counting the lines \u2026");
  else state(found ? `${found.length.toLocaleString("en")} of ${all} lines` : `${all} lines`);
}

// What the stream says: a trouble, or "" once it is over.
function heard(text, bad) {
  if (text) state(text, bad);
  else if (source?.blocks.size) tell();
}

// --- rows

function make(row) {
  const number = lineOf(row);
  const line = source.blocks.line(number);
  if (!line) return null;
  const counted = source.blocks.starts !== null;
  return rowOf(line, rules, {
    number: counted ? number + 1 : null,
    marked: counted && marked && number + 1 >= marked.from && number + 1 <= marked.to,
    came: source.came.get(number),
    other: (text) => mates.some((id) => text.includes(id)) && !text.includes(runId),
    words: search?.asked?.words ?? [],
  });
}

async function need(from, to) {
  if (to <= from) return false;
  if (!found) return source.blocks.ensure(from, to);
  let came = false;
  for (let row = from; row < to; row++) came = (await source.blocks.ensure(found[row], found[row] + 1)) || came;
  return came;
}

// --- opening and following

let opening = false;
let turns = 0;

async function open(name = null) {
  const turn = ++turns;
  opening = true;
  close();
  try {
    await openOnce(name, () => turn === turns);
  } catch (error) {
    state(error.message, true);
  }
  if (turn === turns) opening = false;
}

async function openOnce(name, last) {
  const logs = await get(`/cosmos/log/${runId}`);
  if (!logs || !last()) return;
  rules ??= new Rules(logs.rules);
  const chosen = name ?? logs.chosen;
  choices(logs.files, chosen);
  const file = logs.files.find((one) => one.name === chosen);
  if (!file && !logs.growing) { state("This run has no log."); return; }
  state(file ? "" : "This run has no log yet; it comes here as soon as the model prints a line.");
  source = new Source(runId, chosen, { onChange: changed, onReplaced: () => open(), onState: heard });
  rows ??= new Rows(part("scroll"), { count, make, need, onScroll: scrolled });
  const follows = logs.growing && chosen === "run.log";
  part("follow").checked = follows;
  part("own").checked = mates.length > 0 && (file?.size ?? 0) <= SMALL;
  rows.atEnd = true;
  const mine = source;
  if (file?.size) await mine.open(file.size);
  else mine.blocks.count([0]);
  if (!last()) return;
  if (filtered()) filter();
  fromAddress();
  if (follows) mine.follow(growing);
}

function close() {
  source?.close();
  search?.stop();
  source = search = found = null;
}

async function growing() {
  const logs = await get(`/cosmos/log/${runId}`);
  const file = logs?.files.find((one) => one.name === source?.name);
  if (logs?.growing && file && source.blocks.size > file.size) { open(); return false; }
  return Boolean(logs?.growing);
}

function choices(files, chosen) {
  const select = part("file");
  select.hidden = files.length < 2;
  select.replaceChildren(...files.map(({ name, about }) => new Option(`${name}: ${about}`, name, false, name === chosen)));
  part("own-label").hidden = !mates.length;
  const download = part("download");
  download.hidden = !files.some(({ name }) => name === chosen);
  download.href = `/cosmos/log/${runId}/${chosen}`;
}

// shift: so many lines have been counted above those that were there.
function changed(shift = 0) {
  if (!search) tell();
  part("download").hidden = !source.blocks.size;
  if (!found) rows.top += shift;
  if (part("follow").checked) rows.atEnd = true;
  else if (source.following) rows.atEnd = false;
  rows.draw();
  if (found && search?.over && !continuing) continuing = setTimeout(goOn, AGAIN_MS);
}

function scrolled() {
  if (part("follow").checked && !rows.atEnd) part("follow").checked = false;
}

// --- filtering

function filter() {
  search?.stop();
  clearTimeout(continuing);
  continuing = 0;
  if (!filtered()) {
    const line = found?.[Math.floor(rows.top)];
    search = found = null;
    tell();
    if (line === undefined) rows.draw();
    else rows.show(line);
    return;
  }
  found = [];
  run(0, 0);
}

function run(from, line) {
  let known;
  try {
    known = asked(part("words").value);
  } catch (error) {
    found = null;
    search = null;
    state(error.message, true);
    rows.draw();
    return;
  }
  const order = { url: source.url, rules: rules.sent, from, line, one: false, ...wanted() };
  search = new Search(order, {
    onFound: (lines) => { for (const one of lines) found.push(one); if (lines.length) changed(); },
    onProgress: (share) => state(`${found.length.toLocaleString("en")} lines so far, ${Math.round(share * 100)} % of the log is read \u2026`),
    onTrouble: (sentence) => state(sentence, true),
    onEnd: ({ line: next, most }) => {
      Object.assign(search, { over: true, next });
      tell();
      if (most) state(`The first ${found.length.toLocaleString("en")} lines; there are more.`);
      rows.draw();
    },
  });
  search.asked = known;
}

// New lines came after the search had ended: it goes on at the line that had no end then.
async function goOn() {
  continuing = 0;
  if (!found || !search?.over || search.next >= source.blocks.lines) return;
  const next = search.next;
  await source.blocks.ensure(next, next + 1);
  const start = source.blocks.line(next)?.start;
  if (start === undefined || !search?.over) return;
  while (found.length && found.at(-1) >= next) found.pop();
  run(start, next);
}

// --- errors

let jumping = null;

async function jump(from) {
  if (!source) return;
  jumping?.stop();
  const line = Math.min(from, source.blocks.lines);
  if (line) await source.blocks.ensure(line, line + 1);
  const start = line < source.blocks.lines ? source.blocks.line(line)?.start ?? 0 : source.blocks.size;
  const order = { url: source.url, rules: rules.sent, from: start, line, one: true, text: "", least: "error", other: [], own: runId };
  let hit = null;
  jumping = new Search(order, {
    onFound: (lines) => { hit ??= lines[0]; },
    onTrouble: (sentence) => state(sentence, true),
    onEnd: () => {
      if (hit === null || hit === undefined) state(from ? "There is no error below." : "There is no error in this log.");
      else goTo(hit + 1, hit + 1);
    },
  });
}

function goTo(from, to) {
  marked = { from, to };
  part("follow").checked = false;
  if (found && !found.includes(from - 1)) { for (const name of ["words", "level"]) part(name).value = ""; part("own").checked = false; filter(); }
  rows.show(found ? found.indexOf(from - 1) : from - 1);
  history.replaceState(null, "", from === to ? `#L${from}` : `#L${from}-L${to}`);
}

function fromAddress() {
  const place = /^#L(\d+)(?:-L(\d+))?$/.exec(location.hash);
  if (!place || !source?.blocks.starts) return;
  const from = Math.max(1, Math.min(Number(place[1]), source.blocks.lines));
  goTo(from, Math.max(from, Number(place[2] ?? from)));
}

// --- tools

let typed = 0;
part("words").addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(() => source && filter(), TYPING_MS); });
part("level").addEventListener("change", () => source && filter());
part("own").addEventListener("change", () => source && filter());
part("file").addEventListener("change", (event) => open(event.target.value));
part("first").addEventListener("click", () => jump(0));
part("next").addEventListener("click", () => jump(marked?.to ?? lineOf(Math.floor(rows?.top ?? 0)) ?? 0));
part("follow").addEventListener("change", (event) => { if (event.target.checked) rows?.end(); });
part("wrap").addEventListener("change", (event) => { root.classList.toggle("is-wrapped", event.target.checked); rows?.draw(); });
part("times").addEventListener("change", (event) => { root.classList.toggle("has-times", event.target.checked); });
part("rows").addEventListener("click", (event) => {
  const number = Number(event.target.closest("a.log-number")?.textContent);
  if (!number) return;
  event.preventDefault();
  const other = event.shiftKey && marked ? marked.from : number;
  marked = { from: Math.min(number, other), to: Math.max(number, other) };
  const { from, to } = marked;
  history.replaceState(null, "", from === to ? `#L${from}` : `#L${from}-L${to}`);
  rows.draw();
});
window.addEventListener("hashchange", () => { if (source) fromAddress(); else begin(); });
document.addEventListener("visibilitychange", () => {
  if (!source || !part("follow")) return;
  if (document.hidden) source.pause();
  else if (source.name === "run.log" && source.blocks.starts) source.follow(growing);
});
bind("g l", "Go to the log", () => {
  begin();
  root.scrollIntoView();
  part("scroll").focus({ preventScroll: true });
});
bind("g e", "Go to the end of the log, and follow it", async () => {
  await begin();
  if (!part("follow").checked) part("follow").click();
  root.scrollIntoView();
});
bind("n", "Next error of the log", async () => { await begin(); part("next").click(); });
bind("N", "First error of the log", async () => { await begin(); part("first").click(); });

let begun = null;

function begin() {
  begun ??= open();
  seen.disconnect();
  return begun;
}

const seen = new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting)) begin(); }, { rootMargin: "200px" });
seen.observe(root);
if (/^#(log|L\d)/.test(location.hash)) begin();
document.body.addEventListener("cosmos:change", (event) => {
  const mine = event.detail.some(({ kind, id }) => kind === "run" && id === runId);
  if (begun && mine && !opening && !source?.following && !document.hidden) reopen();
});

// The run has begun again, or at all: its log may be another one. A log that is not pushed has grown.
async function reopen() {
  const logs = await get(`/cosmos/log/${runId}`);
  if (!logs) return;
  const file = logs.files.find((one) => one.name === (source?.name ?? logs.chosen));
  const pushed = !source || source.name === "run.log";
  const shorter = source && (file?.size ?? 0) < source.blocks.size;
  if (pushed && logs.growing) open();
  else if ((!source && file) || shorter) open(source?.name);
  else if (file) source.catchUp(file.size);
}
