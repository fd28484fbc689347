"""Parts of a page that are read anew under the hands of somebody who works in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.media import renders
from tests.page.conftest import Gallery
from tests.support.review_page import visitor
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROW = "#queue-runs tr[data-run]"


@contextmanager
def pressed(tab: Page, what: Locator, part: str, news: Callable[[], object]) -> Iterator[None]:
    """Press the button of the mouse on something, and let it go when its part was read anew."""
    what.hover()
    tab.mouse.down()
    with tab.expect_response(part) as answered:
        news()
    answered.value.finished()
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    yield
    tab.mouse.up()


@pytest.fixture
def waiting(gallery: Gallery, tab: Page) -> list[str]:
    """Two runs that wait, on the page of the queue; its first parts have come."""
    made = [
        gallery.api.create_run(gallery.prompts["noon"], seed=seed, queue=True)["id"]
        for seed in range(2)
    ]
    with tab.expect_response("**/cosmos/events*"):
        tab.goto(f"{gallery.url}/cosmos/queue")
    tab.locator(ROW).nth(1).wait_for()
    return made


def shown(tab: Page) -> list[str]:
    """The runs on the screen in their order."""
    return tab.locator(ROW).evaluate_all("rows => rows.map(row => row.dataset.run)")  # type: ignore[no-any-return]


def test_a_button_that_is_held_while_its_list_is_read_anew_does_what_it_says(
    gallery: Gallery, tab: Page, waiting: list[str]
) -> None:
    first, second = waiting
    new: list[str] = []

    def news() -> None:
        new.append(gallery.api.create_run(gallery.prompts["rain"], queue=True)["id"])

    button = tab.locator(f'{ROW}[data-run="{second}"]').get_by_role("button", name="First")
    with pressed(tab, button, "**/cosmos/queue/runs*", news):
        pass
    until(lambda: shown(tab) == [second, first, *new], "the move, and what is new")


def test_a_row_that_is_held_while_its_list_is_read_anew_can_be_dragged(
    gallery: Gallery, tab: Page, waiting: list[str]
) -> None:
    first, second = waiting
    row = tab.locator(f'{ROW}[data-run="{second}"] td').nth(3)
    video = gallery.videos["noon", "soft"]
    with pressed(tab, row, "**/cosmos/queue/runs*", lambda: gallery.api.rate(video, 3)):
        tab.wait_for_timeout(300)  # see `drag` in test_queue.py
        tab.locator(f'{ROW}[data-run="{first}"] td').nth(3).hover()
    until(lambda: shown(tab) == [second, first], "the drag")


def test_a_tile_that_is_held_while_it_changes_opens_its_run(gallery: Gallery, tab: Page) -> None:
    video = gallery.videos["noon", "soft"]
    with tab.expect_response("**/cosmos/events*"):
        tab.goto(f"{gallery.url}/cosmos/")
    title = tab.locator(f"[data-run={video}] .tile-title")
    with pressed(tab, title, "**/cosmos/wall/tiles*", lambda: gallery.api.rate(video, 4)):
        pass
    tab.wait_for_url(f"**/cosmos/run/{video}")


def test_what_was_opened_stays_open_when_its_part_is_read_anew(
    gallery: Gallery, tab: Page, tmp_path: Path
) -> None:
    shot = renders.render(tmp_path / "shot", frames=2)
    tab.goto(f"{gallery.url}/cosmos/scenes?prepare={shot}")
    tab.get_by_role("button", name="Prepare", exact=True).click()
    tab.get_by_role("link", name="shot is a scene.", exact=True).wait_for()
    notes = tab.locator(".job-notes")
    notes.locator("summary").click()
    client = visitor(gallery.url)
    sent = {"directory": "/nowhere/at/all", "token": client.headers["x-cosmos-token"]}
    client.post("/cosmos/scenes/prepare", data=sent)
    tab.locator("#jobs .refusal", has_text="/nowhere/at/all").wait_for()
    assert notes.get_attribute("open") is not None
