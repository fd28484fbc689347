"""Review by keyboard: in a real browser, on whatever elements of the wall are runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.page.conftest import Gallery
from tests.support.browser import window
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NOON, RAIN = ("noon", "soft"), ("rain", "soft")


@pytest.fixture
def wall(gallery: Gallery, tab: Page) -> Page:
    """The wall, with the state of its runs."""
    tab.goto(f"{gallery.url}/cosmos/")
    tab.locator(f'[data-run="{gallery.videos[NOON]}"][data-tags]').first.wait_for()
    return tab


def choose(tab: Page, *ids: str) -> None:
    """Select runs as the wall does, or clear the selection."""
    tab.evaluate(
        """async ids => {
            const app = document.querySelector('script[src$="/js/app.js"]').src;
            const selection = await import(app.replace("app.js", "selection.js"));
            selection.clear();
            selection.select(ids);
        }""",
        [*ids],
    )


def to(tab: Page, run_id: str) -> None:
    """Make one run the current one, without a selection."""
    choose(tab)
    tab.evaluate(
        """id => {
            for (const one of document.querySelectorAll("[data-run]")) {
                one.removeAttribute("aria-current");
            }
            const run = document.querySelector(`[data-run="${id}"]`);
            run.setAttribute("aria-current", "true");
        }""",
        run_id,
    )


def shows(tab: Page, run_id: str, **marks: str) -> None:
    """Wait until the screen shows this of a run."""
    want = "".join(f"[data-{name}='{value}']" for name, value in marks.items())
    tab.locator(f'[data-run="{run_id}"]{want}').first.wait_for(state="attached")


def test_a_run_is_rated_judged_and_taken_back_step_by_step(gallery: Gallery, wall: Page) -> None:
    run_id = gallery.videos[NOON]
    to(wall, run_id)
    for key, marks in (
        ("4", {"rating": "4"}),
        ("p", {"verdict": "picked"}),
        ("x", {"verdict": "rejected"}),
        ("x", {"verdict": ""}),
        ("2", {"rating": "2"}),
    ):
        wall.keyboard.press(key)
        shows(wall, run_id, **marks)
    for marks in (
        {"rating": "4"},
        {"verdict": "rejected"},
        {"verdict": "picked"},
        {"verdict": ""},
        {"rating": "0"},
    ):
        wall.keyboard.press("z")
        shows(wall, run_id, **marks)
    assert gallery.api.get_run(run_id)["tags"] == ["batch:first"]
    wall.keyboard.press("z")
    wall.get_by_text("There is nothing to undo").wait_for()


def test_a_rating_of_many_is_taken_back_after_a_reload(gallery: Gallery, wall: Page) -> None:
    ids = [*gallery.videos.values()]
    gallery.api.rate(ids[0], 5)
    shows(wall, ids[0], rating="5")
    choose(wall, *ids)
    wall.get_by_text("4 selected").wait_for()
    wall.keyboard.press("1")
    for run_id in ids:
        shows(wall, run_id, rating="1")
    wall.get_by_text("4 runs: rated 1.").wait_for()  # the step is kept
    wall.reload()
    shows(wall, ids[0], rating="1")
    wall.keyboard.press("z")
    shows(wall, ids[0], rating="5")
    assert [gallery.api.get_run(run_id)["rating"] for run_id in ids] == [5, None, None, None]


def test_two_browsers_see_what_the_other_did_and_the_last_one_wins(
    gallery: Gallery, wall: Page, browser: Browser
) -> None:
    run_id = gallery.videos[RAIN]
    with window(browser) as other:
        other.goto(f"{gallery.url}/cosmos/")
        for tab in (wall, other):
            shows(tab, run_id, rating="0")
            to(tab, run_id)
        wall.keyboard.press("3")
        shows(other, run_id, rating="3")
        other.keyboard.press("5")
        shows(wall, run_id, rating="5")
        wall.keyboard.press("z")
        wall.get_by_text("changed since").wait_for()
        assert gallery.api.get_run(run_id)["rating"] == 5


def test_a_key_pressed_twice_orders_once_and_z_cancels_the_order(
    gallery: Gallery, wall: Page
) -> None:
    to(wall, gallery.videos[RAIN])
    wall.keyboard.press("u")
    wall.keyboard.press("u")
    wall.get_by_text("until the daemon runs").wait_for()
    wall.get_by_text("has a 4K already").wait_for()
    (order,) = gallery.api.list_runs(status="pending")
    assert (order["parent_run_id"], order["model_type"]) == (gallery.videos[RAIN], "upscale")
    wall.keyboard.press("z")
    until(lambda: gallery.api.get_run(order["id"])["status"] == "cancelled", "the cancelled order")


def test_an_order_of_many_says_before_what_it_will_do(gallery: Gallery, wall: Page) -> None:
    choose(wall, *gallery.videos.values(), gallery.enhanced)
    wall.keyboard.press("u")
    told = wall.get_by_role("dialog")
    told.get_by_text("3 4K videos, in").wait_for()
    until(lambda: told.locator(".is-bad li").count() == 2, "the two that cannot be")
    wall.keyboard.press("x")  # a key of the page does nothing while it asks
    wall.get_by_role("button", name="Queue 3 runs").dblclick()
    until(lambda: len(gallery.api.list_runs(status="pending")) == 3, "the orders")
    assert gallery.api.marks([gallery.enhanced])[gallery.enhanced]["verdict"] == ""


def test_no_key_deletes_and_the_button_takes_what_was_shown(gallery: Gallery, wall: Page) -> None:
    run_id = gallery.videos[NOON]
    to(wall, run_id)
    for keys in ("dd", "d"):
        for key in keys:
            wall.keyboard.press(key)
        told = wall.get_by_role("dialog")
        told.get_by_text("cannot be undone").wait_for()
        if keys == "dd":
            wall.keyboard.press("Enter")  # the focus is on Keep
            told.wait_for(state="detached")
    assert gallery.api.get_run(run_id)["status"] == "completed"
    told.get_by_text("made of a run above").wait_for()
    told.get_by_role("button", name="Delete 2 runs").click()
    wall.locator(f'[data-run="{run_id}"][data-gone]').wait_for(state="attached")
    left = {run["id"] for run in gallery.api.list_runs()}
    assert left == {gallery.enhanced, *gallery.videos.values()} - {run_id}


def test_a_script_in_a_tag_is_text(gallery: Gallery, wall: Page) -> None:
    run_id, tag = gallery.videos[NOON], '<img src=x onerror="document.title=1">'
    # beside the tiles, which news replace
    wall.evaluate(
        """id => {
            const run = document.createElement("p");
            run.id = "told";
            run.dataset.run = id;
            run.append(document.createElement("span"));
            run.firstChild.dataset.show = "tags";
            document.querySelector("main").append(run);
        }""",
        run_id,
    )
    to(wall, run_id)
    wall.keyboard.press("t")
    wall.get_by_label("Add a tag").fill(tag)
    wall.keyboard.press("Enter")
    wall.get_by_role("button", name=f"Remove the tag {tag}").wait_for()
    # the first Escape may close the list of known tags alone
    until(lambda: wall.keyboard.press("Escape") or not wall.locator("dialog[open]").count(), "it")
    wall.locator("#told .tag").get_by_text(tag).wait_for()
    assert wall.locator("img[src=x]").count() == 0
    assert gallery.api.get_run(run_id)["tags"] == sorted(["batch:first", tag])
    to(wall, run_id)
    wall.keyboard.press("t")
    wall.get_by_role("button", name=f"Remove the tag {tag}").click()
    until(lambda: gallery.api.get_run(run_id)["tags"] == ["batch:first"], "the removed tag")


def test_the_compare_set_outlives_the_page_and_is_a_link(gallery: Gallery, wall: Page) -> None:
    ids = [gallery.videos[NOON], gallery.videos[RAIN]]
    for run_id in ids:
        to(wall, run_id)
        wall.keyboard.press("c")
    link = f"/cosmos/compare?v={ids[0]}&v={ids[1]}"
    bar = wall.get_by_role("region", name="Compare set")
    compare = bar.get_by_role("link", name="Compare")
    until(lambda: compare.count() and compare.get_attribute("href") == link, link)
    wall.reload()
    bar.get_by_text("2 in compare").wait_for()
    wall.locator(f'[data-run="{ids[0]}"][data-compared]').wait_for(state="attached")
    to(wall, ids[0])
    wall.keyboard.press("c")
    bar.get_by_text("1 in compare").wait_for()
    until(lambda: bar.get_by_role("link").count() == 0, "no link of one video")


def test_an_enhanced_prompt_is_not_put_into_the_compare_set(gallery: Gallery, wall: Page) -> None:
    bar = wall.get_by_role("region", name="Compare set")
    to(wall, gallery.enhanced)
    wall.keyboard.press("c")
    wall.get_by_text("An enhanced prompt is no video").wait_for()
    assert bar.count() == 0
    choose(wall, gallery.enhanced, gallery.videos[NOON])
    wall.keyboard.press("c")
    bar.get_by_text("1 in compare").wait_for()


def test_one_walks_from_run_to_run_through_the_list_one_came_from(
    gallery: Gallery, wall: Page
) -> None:
    listed = wall.evaluate("[...document.querySelectorAll('[data-run]')].map(e => e.dataset.run)")
    wall.goto(f"{gallery.url}/cosmos/run/{listed[1]}")
    for key, at in (("g n", 2), ("g b", 1), ("g b", 0)):
        for part in key.split():
            wall.keyboard.press(part)
        wall.wait_for_url(f"**/run/{listed[at]}")
        wall.wait_for_load_state()
    for part in ("g", "b"):
        wall.keyboard.press(part)
    wall.get_by_text("first run of the list").wait_for()


def test_the_compact_bar_acts_on_its_run_and_shows_what_it_is(gallery: Gallery, tab: Page) -> None:
    run_id = gallery.videos[NOON]
    tab.goto(f"{gallery.url}/cosmos/run/{run_id}")
    bar = tab.locator(".action-compact")
    bar.get_by_role("button", name="Rate 3").click()
    bar.locator("[data-stars='3'][aria-pressed=true]").wait_for()
    bar.get_by_role("button", name="Pick").click()
    bar.locator("button[aria-pressed=true]", has_text="Pick").wait_for()
    marks = gallery.api.marks([run_id])[run_id]
    assert (marks["rating"], marks["verdict"]) == (3, "picked")


def test_a_run_without_a_video_offers_nothing_that_needs_one(gallery: Gallery, tab: Page) -> None:
    videos_alone, comparable = {"4K", "Seed + 1"}, {"Compare set"}
    for run_id, missing in (
        (gallery.videos[NOON], set[str]()),
        (gallery.larger, videos_alone),
        (gallery.enhanced, videos_alone | comparable),
    ):
        tab.goto(f"{gallery.url}/cosmos/run/{run_id}")
        tab.locator(".action-compact button").first.wait_for()
        names = set(tab.locator(".action-compact button").all_text_contents())
        assert (videos_alone | comparable) - names == missing


def test_the_selection_is_downloaded_as_a_file(gallery: Gallery, wall: Page) -> None:
    ids = [gallery.videos[NOON], gallery.videos[RAIN]]
    choose(wall, *ids)
    with wall.expect_download() as waited:
        wall.get_by_role("button", name="CSV").click()
    text = waited.value.path().read_text()
    assert waited.value.suggested_filename == "runs.csv"
    assert [line.split(",")[0] for line in text.splitlines() if line.startswith("rs_")] == ids
