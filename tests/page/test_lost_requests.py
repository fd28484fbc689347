"""A computer that changes its network ends requests of its browser: pages go on all the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.page.conftest import Gallery
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


def lost(times: int, asked: list[str]) -> Callable[[Route], None]:
    """What ends the first requests without an answer, and notes all."""

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) <= times:
            route.abort("connectionfailed")
        else:
            route.continue_()

    return answer


def seen(tab: Page, asked: list[str]) -> int:
    """How many requests there were; Playwright tells of them while it is used."""
    tab.wait_for_timeout(20)
    return len(asked)


@pytest.mark.parametrize("part", ["js/wall/field.js", "js/app.js", "css/wall.css"])
def test_a_page_whose_script_or_style_does_not_arrive_is_loaded_anew(
    gallery: Gallery, tab: Page, part: str
) -> None:
    asked: list[str] = []
    tab.route(f"**/{part}", lost(1, asked))
    tab.goto(f"{gallery.url}/cosmos/")
    until(lambda: seen(tab, asked) == 2, "the second request")
    tab.locator("#field.is-live").wait_for()


def test_a_script_that_never_arrives_does_not_load_its_page_without_end(
    gallery: Gallery, tab: Page
) -> None:
    asked: list[str] = []
    tab.route("**/js/wall/field.js", lost(99, asked))
    tab.goto(f"{gallery.url}/cosmos/")
    until(lambda: seen(tab, asked) == 4, "three more requests")
    tab.wait_for_timeout(2000)
    assert len(asked) == 4


def test_what_is_only_read_is_asked_for_once_more(gallery: Gallery, tab: Page) -> None:
    asked: list[str] = []
    tab.goto(f"{gallery.url}/cosmos/recipes")
    tab.route("**/cosmos/recipes/compare*", lost(1, asked))
    tab.get_by_role("checkbox", name="Compare hard").check()
    tab.locator("#compared p").get_by_text("Choose two recipes").wait_for()
    until(lambda: seen(tab, asked) == 2, "the second request")
    assert tab.locator("#list-problem").inner_text() == ""


def test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(
    gallery: Gallery, tab: Page
) -> None:
    held: list[Route] = []

    def answer(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    tab.goto(f"{gallery.url}/cosmos/recipes")
    tab.route("**/cosmos/recipes/compare*", answer)
    tab.get_by_role("checkbox", name="Compare hard").check()
    until(lambda: tab.wait_for_timeout(20) or held, "the first request")
    tab.get_by_role("checkbox", name="Compare soft").check()
    rows = tab.locator("#compared tbody th")
    rows.first.wait_for()
    with tab.expect_response("**/cosmos/recipes/compare*"):
        held[0].continue_()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert rows.count() > 0
