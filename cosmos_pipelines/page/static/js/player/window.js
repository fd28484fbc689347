// Which frames are worth being kept around the playhead, in the order in which they are needed.
// `plan`: direction (1 or -1), playing, range ([in, out]), loop.
export function wanted(frame, frames, room, plan) {
  const [first, last] = plan.range;
  const inside = frame >= first && frame <= last;
  const [low, high] = inside && plan.loop && plan.playing ? [first, last] : [0, frames - 1];
  const length = high - low + 1;
  const most = Math.max(1, Math.min(room, length));
  const ahead = Math.min(most - 1, Math.ceil((most - 1) * (plan.playing ? 0.75 : 0.5)));
  const found = [];
  const add = (count, step) => {
    for (let k = 1; k <= count; k += 1) {
      const at = frame + k * step;
      if (at >= low && at <= high) found.push(at);
      else if (plan.loop && inside) found.push(low + ((((at - low) % length) + length) % length));
      else break;
    }
  };
  found.push(frame);
  add(ahead, plan.direction);
  const behind = most - found.length;
  add(behind, -plan.direction);
  if (found.length < most) add(most - 1, plan.direction); // at an end there is room on the other side
  return [...new Set(found)].slice(0, most);
}
