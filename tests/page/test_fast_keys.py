"""Keys that are pressed faster than the server answers: the last one is what holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.page.conftest import Gallery
from tests.page.test_review_keys import NOON, shows, to, wall
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

__all__ = ["wall"]

WATCH = """id => {
    window.seen = new Set();
    const look = () => seen.add(document.querySelector(`[data-run="${id}"]`).dataset.rating);
    const news = new MutationObserver(look);
    news.observe(document.querySelector("#field"), { childList: true });
}"""
"""Notes the ratings that the tiles of a run have, one after the other."""


def test_keys_that_are_pressed_fast_act_one_after_the_other(gallery: Gallery, wall: Page) -> None:
    run_id = gallery.videos[NOON]
    held: list[Route] = []
    asked: list[str] = []

    def slow(route: Route) -> None:
        asked.append(route.request.url.rpartition("/")[2])
        if held:
            route.continue_()
        else:
            held.append(route)

    wall.route(re.compile("/cosmos/runs/(rate|undo)$"), slow)
    to(wall, run_id)
    for key in "35z":
        wall.keyboard.press(key)
    until(lambda: wall.wait_for_timeout(20) or held, "the first request")
    held[0].continue_()
    until(lambda: wall.wait_for_timeout(20) or asked == ["rate", "rate", "undo"], "the others")
    wall.get_by_text("Undone: ").wait_for()
    assert gallery.api.get_run(run_id)["rating"] == 3


def test_a_tile_that_is_drawn_anew_has_its_marks_at_once(gallery: Gallery, wall: Page) -> None:
    run_id = gallery.videos[NOON]
    to(wall, run_id)
    wall.keyboard.press("4")
    shows(wall, run_id, rating="4")
    wall.evaluate(WATCH, run_id)
    wall.locator(f'[data-run="{run_id}"] .stars').wait_for()
    gallery.api.tag(run_id, ["night"])
    until(lambda: wall.evaluate("seen.size"), "a newer tile")
    assert wall.evaluate("[...seen]") == ["4"]
