// The line of all frames: playhead, in and out point; dragged by pointer, moved by arrow keys.
export class Timeline {
  constructor(clock) {
    this.clock = clock;
    this.element = Object.assign(document.createElement("div"), { className: "timeline", tabIndex: 0 });
    this.range = Object.assign(document.createElement("div"), { className: "timeline-range" });
    this.head = Object.assign(document.createElement("div"), { className: "timeline-head" });
    this.element.append(this.range, this.head);
    this.element.setAttribute("role", "slider");
    this.element.setAttribute("aria-label", "Frame");
    this.element.setAttribute("aria-valuemin", 0);
    this.#drag();
    this.element.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
      if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      clock.step(event.shiftKey ? 10 * by : by);
    });
  }

  update(clock, frame) {
    const last = Math.max(1, clock.frames - 1);
    const percent = (value) => `${(100 * value) / last}%`;
    const [first, end] = clock.range;
    this.head.style.left = percent(frame);
    this.range.style.left = percent(first);
    this.range.style.width = percent(end - first);
    this.element.setAttribute("aria-valuemax", clock.frames - 1);
    this.element.setAttribute("aria-valuenow", frame);
  }

  #drag() {
    const seek = (event) => {
      const box = this.element.getBoundingClientRect();
      this.clock.seek(((event.clientX - box.left) / box.width) * (this.clock.frames - 1));
    };
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId);
      this.clock.pause();
      seek(event);
      this.element.addEventListener("pointermove", seek);
      const end = () => this.element.removeEventListener("pointermove", seek);
      this.element.addEventListener("pointerup", end, { once: true });
      this.element.addEventListener("pointercancel", end, { once: true });
    });
  }
}
