// The picture of a pair: wipe, difference, or one of both (A/B).
import { Difference } from "./compare_difference.js";
import { clipBehind, Handle, lineOf, visible } from "./compare_wipe.js";
import { View } from "./player/view.js";

export class Stage {
  constructor(root, zoom, { state, change, repaint }) {
    this.root = root;
    this.state = state;
    this.canvas = root.querySelector("canvas");
    this.view = new View(this.canvas, zoom, repaint);
    this.labels = { a: root.querySelector(".stage-label.is-a"), b: root.querySelector(".stage-label.is-b") };
    this.trouble = root.querySelector(".player-trouble");
    this.handle = new Handle(root.querySelector(".wipe-handle"), this.canvas, {
      area: () => visible(this.view.placed, this.view.box), state, change,
    });
  }

  // `a`, `b`: {picture, width, height, title, mark}, or null for a video that cannot be shown.
  paint(a, b, base, playing) {
    const { mode, shown } = this.state();
    this.#say(mode === "difference" && !(a && b) ? "There is no difference: one of the two videos cannot be shown." : "");
    if (mode === "toggle") this.#one({ a, b }[shown] ?? a ?? b, base, playing);
    else if (mode === "difference" && a && b) this.#difference(a, b, base, playing);
    else this.#wipe(a, b, base, playing);
    this.canvas.classList.remove("is-waiting");
    this.handle.element.hidden = !(mode === "wipe" && a && b); // never in between: it has the focus
    const both = { a: mode !== "toggle" || shown === "a", b: mode !== "toggle" || shown === "b" };
    for (const [side, video] of Object.entries({ a, b })) {
      const text = video && both[side] ? [`${side.toUpperCase()} · ${video.title}`, video.mark].filter(Boolean).join(" · ") : "";
      if (this.labels[side].textContent !== text) this.labels[side].textContent = text;
    }
  }

  #one(video, base, playing) {
    if (video) this.view.draw(video.picture, base, { base: base.width, playing });
  }

  #wipe(a, b, base, playing) {
    const { wipe, angle, mode } = this.state();
    this.#one(a ?? b, base, playing);
    if (!(a && b) || mode !== "wipe") return;
    const { context, placed: at, box } = this.view;
    context.save();
    clipBehind(context, lineOf(visible(at, box), wipe, angle));
    context.drawImage(b.picture, at.x, at.y, at.width, at.height);
    context.restore();
    this.handle.show(this.canvas.width / Math.max(1, this.canvas.clientWidth));
  }

  #difference(a, b, base, playing) {
    this.difference ??= new Difference();
    this.#one(a, base, playing);
    const { context, placed } = this.view;
    this.difference.draw(context, a.picture, b.picture, placed, base, this.state().gain);
  }

  #say(sentence) {
    this.trouble.textContent = sentence;
    this.trouble.hidden = !sentence;
  }
}
