// Where a picture lies on a canvas: fitted, or enlarged around a point that all linked views share.
// At a zoom of 1 a pixel of the first video is a pixel of the screen, also on a high-density screen.
const NEAREST = 16;

// The rectangle of a picture of (width, height) in a box of device pixels. `zoom`: "fit" or a number;
// `x`, `y`: the point of the picture (0 to 1) in the box's middle. `base`: width that zoom counts.
export function place(box, { width, height }, { zoom, x, y }, base = width) {
  const scale = zoom === "fit"
    ? Math.min(box.width / width, box.height / height)
    : (zoom * base) / width;
  const w = Math.max(1, Math.round(width * scale));
  const h = Math.max(1, Math.round(height * scale));
  return { x: along(box.width, w, x), y: along(box.height, h, y), width: w, height: h, scale };
}

function along(box, size, at) {
  if (size <= box) return Math.round((box - size) / 2);
  return Math.round(Math.min(0, Math.max(box - size, box / 2 - at * size)));
}

// Device pixels of a length: the browser's own count, unless it counts those of another screen.
function whole(length, told) {
  const computed = length * devicePixelRatio;
  return Math.abs((told ?? computed) - computed) < 1.5 ? (told ?? computed) : computed;
}

// Zoom and pan of all linked pictures.
export class Zoom {
  #listeners = new Set();

  constructor() { Object.assign(this, { zoom: "fit", x: 0.5, y: 0.5 }); }

  set(values) {
    Object.assign(this, values);
    const inside = (value) => Math.min(1, Math.max(0, Number.isFinite(value) ? value : 0.5));
    this.x = inside(this.x);
    this.y = inside(this.y);
    if (this.zoom !== "fit") this.zoom = Math.min(NEAREST, Math.max(0.05, Number(this.zoom) || 1));
    for (const listener of this.#listeners) listener(this);
  }

  onChange(listener) { this.#listeners.add(listener); }
}

// A canvas with as many pixels as the screen has there.
export class View {
  constructor(canvas, zoom, onResize) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.zoom = zoom;
    this.#fit(canvas.clientWidth * devicePixelRatio, canvas.clientHeight * devicePixelRatio);
    this.observer = new ResizeObserver(([entry]) => {
      const exact = entry.devicePixelContentBoxSize?.[0];
      const { width, height } = entry.contentRect;
      if (this.#fit(whole(width, exact?.inlineSize), whole(height, exact?.blockSize))) onResize();
    });
    try {
      this.observer.observe(canvas, { box: "device-pixel-content-box" });
    } catch {
      this.observer.observe(canvas); // a browser that counts in CSS pixels alone
    }
    this.#gestures();
  }

  get box() { return { width: this.canvas.width, height: this.canvas.height }; }

  // Paints a picture; returns where it lies.
  draw(picture, size, { base, playing = false } = {}) {
    const { context, canvas } = this;
    this.base = base ?? size.width;
    const at = place(this.box, size, this.zoom, this.base);
    this.placed = at;
    context.fillStyle = "#0b0c0e";
    if (at.x > 0 || at.y > 0) context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = at.scale < 1;
    context.imageSmoothingQuality = playing ? "low" : "medium";
    context.drawImage(picture, at.x, at.y, at.width, at.height);
    return at;
  }

  // Zooms by a factor around a point of the canvas (device pixels; its middle by default).
  zoomBy(factor, px = this.canvas.width / 2, py = this.canvas.height / 2) {
    const at = this.placed;
    if (!at) return;
    const now = this.zoom.zoom === "fit" ? at.width / this.base : this.zoom.zoom;
    const zoom = Math.min(NEAREST, Math.max(0.05, now * factor));
    const grown = zoom / now;
    const fx = (px - at.x) / at.width;
    const fy = (py - at.y) / at.height;
    const x = fx + (this.canvas.width / 2 - px) / (at.width * grown);
    const y = fy + (this.canvas.height / 2 - py) / (at.height * grown);
    this.zoom.set({ zoom, x, y });
  }

  // Takes the size that the canvas has now, before the browser tells it.
  fit() {
    const { clientWidth, clientHeight, width, height } = this.canvas;
    const [wide, high] = [whole(clientWidth, width), whole(clientHeight, height)];
    if (clientWidth && clientHeight) this.#fit(wide, high);
  }

  close() { this.observer.disconnect(); }

  #fit(width, height) {
    const to = [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))];
    if (this.canvas.width === to[0] && this.canvas.height === to[1]) return false;
    [this.canvas.width, this.canvas.height] = to;
    return true;
  }

  #gestures() {
    const { canvas } = this;
    const ratio = () => canvas.width / Math.max(1, canvas.clientWidth);
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 300), event.offsetX * ratio(), event.offsetY * ratio());
    }, { passive: false });
    canvas.addEventListener("dblclick", (event) => {
      if (this.zoom.zoom !== "fit") this.zoom.set({ zoom: "fit" });
      else if (this.placed) {
        const { x, y, width, height } = this.placed;
        this.zoom.set({ zoom: 1, x: (event.offsetX * ratio() - x) / width, y: (event.offsetY * ratio() - y) / height });
      }
    });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.zoom.zoom === "fit") return;
      canvas.setPointerCapture(event.pointerId);
      const begin = { x: this.zoom.x, y: this.zoom.y, px: event.clientX, py: event.clientY };
      const move = (to) => this.zoom.set({
        x: begin.x - ((to.clientX - begin.px) * ratio()) / this.placed.width,
        y: begin.y - ((to.clientY - begin.py) * ratio()) / this.placed.height,
      });
      canvas.addEventListener("pointermove", move);
      const end = () => canvas.removeEventListener("pointermove", move);
      canvas.addEventListener("pointerup", end, { once: true });
      canvas.addEventListener("pointercancel", end, { once: true });
    });
  }
}
