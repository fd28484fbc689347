// The state of a comparison is its address: videos, mode, pair, frame, points, gain, wipe, zoom.
export const MODES = ["side", "wipe", "difference", "toggle", "wall"];

const number = (text, low, high, otherwise) => {
  const value = text === null || text === "" ? NaN : Number(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
};
const whole = (...args) => {
  const value = number(...args);
  return value === null ? null : Math.round(value);
};
const LONGEST = 1e7; // frames

export function readState(search, count) {
  const query = new URLSearchParams(search);
  const last = Math.max(0, count - 1);
  const at = (name, low, high, otherwise) => number(query.get(name), low, high, otherwise);
  const mode = query.get("mode");
  const a = whole(query.get("a"), 0, last, 0);
  const other = Math.min(last, a === 0 ? 1 : 0);
  const b = whole(query.get("b"), 0, last, other);
  return {
    mode: MODES.includes(mode) ? mode : count > 2 ? "wall" : "side",
    a,
    b: a === b ? other : b,
    shown: query.get("shown") === "b" ? "b" : "a",
    frame: whole(query.get("frame"), 0, LONGEST, 0),
    from: whole(query.get("in"), 0, LONGEST, null),
    to: whole(query.get("out"), 0, LONGEST, null),
    loop: query.get("loop") !== "0",
    gain: at("gain", 1, 16, 1),
    wipe: at("wipe", 0, 1, 0.5),
    angle: at("angle", 0, 360, 0),
    zoom: query.get("zoom") === null || query.get("zoom") === "fit" ? "fit" : at("zoom", 0.05, 16, 1),
    x: at("x", 0, 1, 0.5),
    y: at("y", 0, 1, 0.5),
  };
}

const short = (value) => String(Math.round(value * 1e4) / 1e4);

// The query of a state; what is as without a word is left out.
export function writeState(state, names) {
  const query = new URLSearchParams(names.map((name) => ["v", name]));
  const plain = readState("", names.length);
  const inside = { ...state };
  if (state.zoom === "fit") inside.x = inside.y = 0.5;
  if (state.mode !== "toggle") inside.shown = "a";
  for (const key of ["mode", "a", "b", "shown", "frame", "gain", "wipe", "angle", "zoom", "x", "y"]) {
    const value = inside[key];
    if (value !== plain[key]) query.set(key, typeof value === "number" ? short(value) : value);
  }
  if (state.a !== plain.a) query.set("b", short(state.b));
  if (state.from !== null) query.set("in", state.from);
  if (state.to !== null) query.set("out", state.to);
  if (!state.loop) query.set("loop", "0");
  return query.toString().replaceAll("%3A", ":").replaceAll("%2F", "/");
}
