// The place where one was on the wall: the tile at the top of the window and how far it was above.
// The history keeps it, so that it survives going to a run and back.
let timer = null;

export function keepPlace(field, delay = 0) {
  clearTimeout(timer);
  if (delay) { timer = setTimeout(() => keepPlace(field), delay); return; }
  if (!field || field.left) return;
  const row = Math.max(0, Math.floor((scrollY - field.top()) / field.pitch));
  const index = row * field.columns;
  const place = { id: field.ids[index] ?? null, index, above: scrollY - field.top() - row * field.pitch, current: field.current ?? null };
  history.replaceState({ ...history.state, wall: place }, "");
}

// Goes there again, also if the tile has another number by now.
export async function restorePlace(field) {
  const place = history.state?.wall;
  if (!field || !place) return;
  const to = (index) => { scrollTo(0, field.top() + Math.floor(index / field.columns) * field.pitch + place.above); field.draw(); };
  to(place.index);
  if (!place.id || (place.index === 0 && place.above <= 0)) return;
  await field.reach(place.index);
  const index = field.index.get(place.id);
  if (index !== undefined && !field.left) to(index);
  if (place.current && field.index.has(place.current)) field.setCurrent?.(field.index.get(place.current));
}
