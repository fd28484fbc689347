// Actions on runs, on every screen: keys, the bar at the bottom, a compact bar for one run.
//
// What a screen writes, and what it gets from here:
//   <li data-run="rs_...">            one run. Kept true here, also when another browser changes it:
//     data-rating="0".."5"            0: not rated
//     data-verdict="picked|rejected|" what a reviewer decided
//     data-tags='["night"]'           JSON, without the two verdicts
//     data-status="completed"
//     data-compared                   it is in the compare set
//     data-gone                       it was deleted
//   <span data-show="rating|verdict|tags|status"></span>   inside of it: filled with text
//   <div data-actions></div>          filled with the compact bar of the run that it is inside of
//                                     (or of data-actions="rs_...", or of the only run there)
// A screen that writes all four attributes itself spares a request. New elements are found by
// themselves. Keys act on the selection (selection.js), else on the current run.
// A screen with a longer list than it has elements calls rememberList(ids) of actions-walk.js, so
// that one can walk through that list on the run's page.
import { bars } from "./actions-bar.js";
import { compareBar, toggleCompare } from "./actions-compare.js";
import { askDelete } from "./actions-delete.js";
import { judge, rate, toggleVerdict } from "./actions-marks.js";
import { order } from "./actions-order.js";
import { followRuns } from "./actions-state.js";
import { askTags } from "./actions-tags.js";
import { undoLast } from "./actions-undo.js";
import { walk, watchList } from "./actions-walk.js";
import { bind } from "./keys.js";
import { current, selected } from "./selection.js";

function targets() {
  const ids = selected();
  if (ids.length) return ids;
  const one = current();
  return one ? [one.dataset.run] : [];
}

const on = (act) => (event) => {
  const ids = targets();
  if (!ids.length) return false;
  if (event.repeat) return;
  act(ids);
};

function search() {
  const field = document.querySelector("main input[type=search], [data-search]");
  if (field) { field.focus(); field.select?.(); } else location.href = "/cosmos/#search";
}

bind("ArrowRight", "Next run", () => walk(1));
bind("ArrowLeft", "Previous run", () => walk(-1));
bind("g n", "Next run of the list that the run was opened from", () => walk(1));
bind("g b", "Run before in that list", () => walk(-1));
for (const stars of [1, 2, 3, 4, 5]) bind(`${stars}`, `Rate ${stars} of 5`, on((ids) => rate(ids, stars)));
bind("0", "Remove the rating", on((ids) => rate(ids, 0)));
bind("p", "Pick; again: take it back", on((ids) => toggleVerdict(ids, "picked")));
bind("x", "Reject; again: take it back", on((ids) => toggleVerdict(ids, "rejected")));
bind("t", "Tags", on(askTags));
bind("u", "Order 4K", on((ids) => order("upscale", ids)));
bind("e", "Enhance the prompt", on((ids) => order("enhance", ids)));
bind("s", "Again with seed + 1", on((ids) => order("again", ids)));
bind("c", "Into the compare set, or out of it", on(toggleCompare));
bind("d", "Delete (shows first what goes)", on(askDelete));
bind("z", "Undo", undoLast);
bind("/", "Search", search);

const act = {
  rate, judge, tags: askTags, order, compare: toggleCompare, delete: askDelete,
};
followRuns();
compareBar();
bars(act);
watchList();
if (location.hash === "#search") document.querySelector("main input[type=search]")?.focus();
