// Events in a steady stream: `name` on the body at most every `ms`, and always once more after the
// last of its `sources`. (htmx's own `throttle` drops what comes within it, the last news too.)
export function steady(name, sources, ms) {
  let timer = null;
  let again = false;
  const emit = () => {
    again = false;
    timer = setTimeout(() => { timer = null; if (again) emit(); }, ms);
    document.body.dispatchEvent(new CustomEvent(name));
  };
  for (const source of sources) {
    document.body.addEventListener(source, () => { if (timer) again = true; else emit(); });
  }
}
