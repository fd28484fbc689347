// The keys of the wall, for the field of tiles and for the grid of a sweep alike: `screen()` is the one
// that is shown, with the methods step, jump, open, toggle and all.
import { bind } from "../keys.js";
import { clear, selected } from "../selection.js";

const elsewhere = (event) => event.target.closest("a, button, summary, select, dialog, [data-player]");

export function bindKeys(screen) {
  const step = (right, down) => () => screen()?.step(right, down) ?? false;
  bind("ArrowRight", "The next tile", step(1, 0));
  bind("ArrowLeft", "The tile before", step(-1, 0));
  bind("ArrowDown", "The tile below", step(0, 1));
  bind("ArrowUp", "The tile above", step(0, -1));
  bind("PageDown", "A window down", step(0, "window"));
  bind("PageUp", "A window up", step(0, "-window"));
  bind("Home", "The first tile", () => screen()?.jump(0) ?? false);
  bind("End", "The last tile", () => screen()?.jump(-1) ?? false);
  bind("Enter", "Open the run", (event) => (elsewhere(event) ? false : screen()?.open() ?? false));
  bind(" ", "Select the run, or not any more", (event) => (elsewhere(event) ? false : screen()?.toggle() ?? false));
  bind("Ctrl+a", "Select all that are found", () => { if (!screen()) return false; screen().all(); });
  bind("Escape", "Select none", () => { if (!selected().length) return false; clear(); });
}
