// The wipe: a line across the visible picture; A lies before it, B behind it. Its position is a share
// of the picture's way along the line's normal, so that it is the same in a window of another size.

// The line in a rectangle: a point on it, its normal, and half of the rectangle's extent along that.
export function lineOf(area, position, angle) {
  const turn = (angle * Math.PI) / 180;
  const normal = { x: Math.cos(turn), y: Math.sin(turn) };
  const half = (Math.abs(area.width * normal.x) + Math.abs(area.height * normal.y)) / 2;
  const middle = { x: area.x + area.width / 2, y: area.y + area.height / 2 };
  const by = (position - 0.5) * 2 * half;
  return { point: { x: middle.x + by * normal.x, y: middle.y + by * normal.y }, normal, half, middle };
}

// The position whose line goes through a point.
export function positionAt(area, angle, x, y) {
  const { normal, half, middle } = lineOf(area, 0.5, angle);
  const along = (x - middle.x) * normal.x + (y - middle.y) * normal.y;
  return Math.min(1, Math.max(0, along / (2 * half) + 0.5));
}

// The part of a placed picture that can be seen in a box.
export function visible(at, box) {
  const x = Math.max(0, at.x);
  const y = Math.max(0, at.y);
  return {
    x, y,
    width: Math.max(1, Math.min(box.width, at.x + at.width) - x),
    height: Math.max(1, Math.min(box.height, at.y + at.height) - y),
  };
}

// Restricts drawing to what lies behind the line.
export function clipBehind(context, { point, normal }) {
  const far = 2 * (context.canvas.width + context.canvas.height);
  const corner = (along, away) => [
    point.x - normal.y * along + normal.x * away, point.y + normal.x * along + normal.y * away,
  ];
  context.beginPath();
  context.moveTo(...corner(-far, 0));
  for (const [along, away] of [[far, 0], [far, far], [-far, far]]) context.lineTo(...corner(along, away));
  context.closePath();
  context.clip();
}

// The handle on the line: dragged by pointer; arrow keys move it, PageUp and PageDown turn it.
export class Handle {
  constructor(element, stage, { area, state, change }) {
    Object.assign(this, { element, stage, area, state, change });
    element.addEventListener("pointerdown", (event) => this.#drag(event));
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  // Lays the handle over the line; `ratio`: device pixels of a CSS pixel.
  show(ratio) {
    const area = this.area();
    const { wipe, angle } = this.state();
    const { point } = lineOf(area, wipe, angle);
    const { style } = this.element;
    const long = Math.hypot(area.width, area.height) / ratio;
    style.height = `${long}px`;
    style.left = `${point.x / ratio}px`;
    style.top = `${point.y / ratio - long / 2}px`;
    style.transform = `rotate(${angle}deg)`;
    this.element.setAttribute("aria-valuenow", Math.round(wipe * 100));
    this.element.setAttribute("aria-valuetext", `${Math.round(wipe * 100)} % A, ${Math.round(angle)} degrees`);
  }

  #drag(event) {
    const { element } = this;
    element.setPointerCapture(event.pointerId);
    const move = (to) => {
      const box = this.stage.getBoundingClientRect();
      const ratio = this.stage.width / box.width;
      const { angle } = this.state();
      this.change({ wipe: positionAt(this.area(), angle, (to.clientX - box.left) * ratio, (to.clientY - box.top) * ratio) });
    };
    element.addEventListener("pointermove", move);
    const end = () => element.removeEventListener("pointermove", move);
    element.addEventListener("pointerup", end, { once: true });
    element.addEventListener("pointercancel", end, { once: true });
  }

  #key(event) {
    const { wipe, angle } = this.state();
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const turn = { PageUp: 15, PageDown: -15 }[event.key];
    if (by) this.change({ wipe: Math.min(1, Math.max(0, wipe + by * (event.shiftKey ? 0.1 : 0.01))) });
    else if (turn) this.change({ angle: (angle + turn + 360) % 360 });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
