"""The wall: tiles that say what they are, filters that are the address, keys, news, many runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import update

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.catalog.tables import runs
from cosmos_pipelines.page.wall_query import WallQuery
from tests.page.conftest import Gallery
from tests.support import web
from tests.support.many_runs import copy_run
from tests.support.project import make_project
from tests.support.review_page import review_page
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route


def wall(gallery: Gallery, query: str = "", status: int = 200) -> str:
    answer = web.get(f"{gallery.url}/cosmos/{query}")
    assert answer.status_code == status, answer.text
    return answer.text


def shown(page: str) -> list[str]:
    return re.findall(r'<div class="tile is-[^>]* data-run="(\w+)"', page)


def tile_of(page: str, run_id: str) -> str:
    start = rf'<div class="tile is-[^>]* data-run="{run_id}"'
    (found,) = re.findall(rf'{start}.*?(?=<div class="tile is-|</main>)', page, re.S)
    return str(found)


def change(gallery: Gallery, run_id: str, **columns: object) -> None:
    with gallery.api.catalog.write() as tx:
        statement = update(runs).where(runs.c.id == run_id).values(**columns, **tx.stamp())
        tx.connection.execute(statement)


def here(tab: Page) -> list[str]:
    """The runs on the screen in their order."""
    tab.locator("#field.is-live").wait_for()
    return list(
        tab.evaluate("[...document.querySelectorAll('#field [data-run]')].map(e => e.dataset.run)")
    )


def when(tab: Page, condition: str) -> None:
    """Wait until a script's condition holds; the page's policy forbids Playwright's own wait."""
    until(lambda: tab.evaluate(condition), condition)


# --- without a browser ----------------------------------------------------------------------------


def test_a_video_and_its_4k_are_one_tile_which_opens_the_group(gallery: Gallery) -> None:
    page = wall(gallery)
    video = gallery.videos["noon", "soft"]
    assert gallery.larger not in shown(page)
    assert sorted(shown(page)) == sorted([*gallery.videos.values(), gallery.enhanced])
    tile = tile_of(page, video)
    assert f'href="/cosmos/?of={video}"' in tile
    assert "2 runs" in tile
    assert ">4K</span>" in tile
    assert sorted(shown(wall(gallery, f"?of={video}"))) == sorted([video, gallery.larger])
    assert shown(wall(gallery, "?type=upscale")) == [gallery.larger]


def test_a_tile_says_what_it_is_and_that_it_is_simulated(gallery: Gallery) -> None:
    gallery.api.rate(gallery.videos["rain", "hard"], 4)
    page = wall(gallery)
    tile = tile_of(page, gallery.videos["rain", "hard"])
    for words in ("PREVIEW", "hard · seed 7", "A rainy night in the city", "rated 4 of 5"):
        assert words in tile
    better = gallery.api.get_run(gallery.enhanced)["outputs"]["enhanced_text"]
    assert better[:60] in tile_of(page, gallery.enhanced)


@pytest.mark.parametrize("verdict", ["picked", "rejected"])
def test_a_verdict_is_seen_on_the_tile_and_in_the_grid_before_all_tags(
    gallery: Gallery, verdict: str
) -> None:
    video = gallery.videos["rain", "hard"]
    gallery.api.tag(video, [verdict, "a first one", "b second one", "c third one", "d fourth one"])
    tile = tile_of(wall(gallery), video)
    badge = f'class="badge is-{verdict}">{verdict}</span>'
    assert tile.count(badge) == 1
    assert tile.index(badge) < tile.index("a first one")
    assert f", {verdict}" in tile.partition('aria-label="')[2].partition('"')[0]
    assert badge in wall(gallery, "?view=grid")


def test_waiting_running_and_failed_runs_say_how_they_are(gallery: Gallery) -> None:
    waits, fails, runs_now = (
        gallery.videos[cell] for cell in (("noon", "hard"), ("rain", "soft"), ("rain", "hard"))
    )
    waiting = gallery.api.create_run(gallery.prompts["noon"], recipe="soft", queue=True)["id"]
    second = gallery.api.create_run(gallery.prompts["rain"], recipe="soft", queue=True)["id"]
    change(gallery, gallery.videos["noon", "soft"], batch_id=gallery.videos["noon", "soft"])
    change(
        gallery, fails, status="failed", error_kind="model_failed", error_message="It <b>broke</b>."
    )
    change(
        gallery,
        runs_now,
        status="running",
        progress={"done": 3, "total": 9, "text": "chunk 1 of 3"},
    )
    change(gallery, waits, status="cancelled")
    page = wall(gallery)
    assert "number 1 in the queue" in tile_of(page, waiting)
    assert "number 2 in the queue" in tile_of(page, second)
    assert "Runs like it took" in tile_of(page, waiting)
    assert "It &lt;b&gt;broke&lt;/b&gt;." in tile_of(page, fails)
    assert f'href="/cosmos/run/{fails}#why"' in tile_of(page, fails)
    assert "chunk 1 of 3" in tile_of(page, runs_now)
    assert '<progress max="9" value="3"' in tile_of(page, runs_now)


def test_nothing_found_says_which_filter_to_leave_out(gallery: Gallery) -> None:
    page = wall(gallery, "?words=rain&recipe=none&tag=batch%3Afirst")
    assert "No run has all of these" in page
    ways = re.findall(r'<li><a href="([^"]*)">Without', page)
    assert [dict(parse_qsl(urlsplit(way.replace("&amp;", "&")).query)) for way in ways] == [
        {"words": "rain", "tag": "batch:first"}
    ]


@pytest.mark.parametrize("query", ["?rating=9", "?status=done", "?since=soon", "?sort=colour"])
def test_a_wrong_address_is_refused_in_words_with_a_way_out(gallery: Gallery, query: str) -> None:
    page = wall(gallery, query, status=400)
    assert 'role="alert"' in page
    assert 'id="filters"' in page


def test_an_empty_project_says_what_to_do_next(tmp_path: Path) -> None:
    project = make_project(tmp_path / "films")
    with CosmosAPI(settings=project.settings) as api, review_page(api) as url:
        page = web.get(f"{url}/cosmos/").text
        assert "cosmos demo" in page
        assert str(project.settings.inputs) in page
        prompt = api.create_prompt("A street", project.scene("street"))
        assert "order videos of them" in web.get(f"{url}/cosmos/").text
        assert prompt["id"]


def test_an_address_is_read_and_written_without_loss() -> None:
    query = WallQuery.read(
        [("words", " rain "), ("tag", "a"), ("tag", "b"), ("tag", "a"), ("rating", "3"),
         ("rating", "4"), ("sort", "-outputs.size"), ("view", "grid"), ("first", "40"), ("x", "y")]
    )  # fmt: skip
    assert query.arguments() == {"words": "rain", "tag": ["a", "b"], "rating": "4"}
    assert WallQuery.read(parse_qsl(urlsplit(query.url()).query)) == query
    assert query.without("tag", "a") == {"words": ["rain"], "tag": ["b"], "rating": ["4"]}
    assert WallQuery.read([("first", "²"), ("sort", ""), ("scene", " ")]).url() == "/cosmos/"


def test_the_values_of_a_filter_are_offered(gallery: Gallery) -> None:
    ask = f"{gallery.url}/cosmos/wall/values"
    values = {v["value"]: v["number"] for v in web.get(f"{ask}?name=recipe").json()}
    assert values == {"soft": 2, "hard": 2}
    assert [v["value"] for v in web.get(f"{ask}?name=words&text=quiet%20cit").json()] == [
        "quiet city"
    ]
    assert web.get(f"{ask}?name=batch").json()[0]["value"] == "first"
    assert web.get(f"{ask}?name=nothing").json() == []


# --- in a browser ---------------------------------------------------------------------------------


def test_filters_are_the_address_and_back_goes_back(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/")
    assert len(here(tab)) == 5
    tab.keyboard.press("/")
    tab.keyboard.type("rainy")
    tab.keyboard.press("Enter")
    tab.locator(".chip").wait_for()
    assert set(here(tab)) == {gallery.videos["rain", "soft"], gallery.videos["rain", "hard"]}
    tab.locator("#more").evaluate("e => { e.open = true }")
    tab.locator("input[name=recipe]:not([type=hidden])").fill("soft")
    tab.keyboard.press("Enter")
    tab.locator(".chip").nth(1).wait_for()
    assert here(tab) == [gallery.videos["rain", "soft"]]
    assert dict(parse_qsl(urlsplit(tab.url).query)) == {"words": "rainy", "recipe": "soft"}
    tab.go_back()
    when(tab, "document.querySelectorAll('.chip').length === 1")
    assert len(here(tab)) == 2
    tab.locator(".chip a").click()
    when(tab, "document.querySelectorAll('.chip').length === 0")
    assert tab.url == f"{gallery.url}/cosmos/"


def test_keys_move_select_and_open(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/?sort=oldest")
    ids = here(tab)
    chosen = "[...document.querySelectorAll('[data-selected]')].map(e => e.dataset.run)"
    now = "document.querySelector('[data-run][aria-current=true]')?.dataset.run"
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate(now) == ids[1]
    assert tab.evaluate("document.activeElement.dataset.run") == ids[1]
    tab.keyboard.press(" ")
    assert tab.evaluate(chosen) == [ids[1]]
    tab.locator(f"[data-run={ids[3]}] .tile-words").click(
        modifiers=["Shift"], position={"x": 3, "y": 3}
    )
    assert tab.evaluate(chosen) == ids[1:4]
    tab.keyboard.press("Escape")
    assert tab.evaluate(chosen) == []
    tab.keyboard.press("Control+a")
    when(tab, f"{chosen}.length === {len(ids)}")
    tab.keyboard.press("Home")
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**/cosmos/run/{ids[0]}")


def test_a_still_plays_its_loop_under_the_keyboard_and_says_when_it_is_gone(
    gallery: Gallery, tab: Page
) -> None:
    gone = gallery.api.file_of_run(gallery.videos["rain", "hard"], "thumbnail")
    assert gone is not None
    gone.unlink()
    tab.goto(f"{gallery.url}/cosmos/?sort=oldest")
    ids = here(tab)
    tab.keyboard.press("ArrowRight")
    tab.locator(f"[data-run={ids[0]}] img.loop").wait_for()
    tab.keyboard.press("ArrowRight")
    tab.locator(f"[data-run={ids[1]}] img.loop").wait_for()
    when(tab, "document.querySelectorAll('img.loop').length === 1")
    tab.keyboard.press("l")
    when(tab, "document.querySelectorAll('img.loop').length === 3")
    tab.keyboard.press("l")
    when(tab, "document.querySelectorAll('img.loop').length <= 1")
    tab.emulate_media(reduced_motion="reduce")
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    when(tab, f"document.activeElement.dataset.run === '{ids[1]}'")
    until(lambda: tab.locator(f"[data-run={ids[0]}] img.loop").count() == 0, "a still")
    line = tab.locator(f"[data-run={gallery.videos['rain', 'hard']}] .tile-line")
    line.wait_for()
    until(lambda: line.text_content() == "Its picture is not there any more.", "the line")


def test_changes_come_in_place_and_new_runs_wait_for_a_click(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/")
    before = here(tab)
    gallery.api.rate(gallery.videos["noon", "soft"], 5)
    tab.locator(f"[data-run={gallery.videos['noon', 'soft']}] .stars").wait_for()
    new = gallery.api.create_run(gallery.prompts["rain"], recipe="soft")["id"]
    tab.locator("#newer", has_text="1 new").wait_for()
    gallery.api.delete_run(gallery.videos["rain", "soft"])
    tab.locator(".tile.is-gone").wait_for()
    assert here(tab) == before
    tab.locator("#newer").click()
    tab.locator(f"[data-run={new}]").wait_for()
    assert here(tab)[0] == new
    assert gallery.videos["rain", "soft"] not in here(tab)


def test_a_waiting_tile_says_its_new_number_when_the_run_before_it_begins(
    gallery: Gallery, tab: Page
) -> None:
    first, second = (
        gallery.api.create_run(gallery.prompts["noon"], queue=True, seed=n)["id"] for n in (1, 2)
    )
    tab.goto(f"{gallery.url}/cosmos/?status=pending&status=uploading")
    tab.locator(f"[data-run={second}]", has_text="number 2 in the queue").wait_for()
    assert gallery.api.catalog.claim(first, "here")
    tab.locator(f"[data-run={second}]", has_text="number 1 in the queue").wait_for()
    tab.locator(f"[data-run={first}] progress").wait_for(state="attached")


def test_keys_move_between_the_cells_of_a_sweep_that_have_a_run(
    gallery: Gallery, tab: Page
) -> None:
    gallery.api.create_run(gallery.prompts["noon"], recipe="soft", tags=["again"])
    gallery.api.delete_run(gallery.videos["rain", "hard"])
    tab.goto(f"{gallery.url}/cosmos/?view=grid")
    heads = tab.locator("#grid thead th").all_text_contents()
    assert heads == ["prompt", "hard", "soft"]
    assert tab.locator("#grid td.is-none").count() == 1
    assert tab.locator("#grid .stack").text_content() == "2 runs"
    now = "document.querySelector('[data-run][aria-current=true]')?.dataset.run"
    tab.keyboard.press("End")
    row = tab.evaluate("document.activeElement.closest('tr').rowIndex")
    tab.keyboard.press("ArrowUp")
    assert tab.evaluate("document.activeElement.closest('tr').rowIndex") == row - 1
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowLeft")
    assert tab.evaluate(now) is not None
    gallery.api.rate(gallery.videos["rain", "soft"], 4)
    tab.locator(f"[data-run={gallery.videos['rain', 'soft']}] .stars").wait_for()
    until(lambda: tab.locator("#grid [aria-current=true]").count() == 1, "the current run")
    tab.locator(".wall-views a", has_text="Seeds").click()
    when(tab, "document.querySelector('#grid thead').textContent.includes('7')")
    assert "across=seed" in tab.url


def test_many_runs_are_scrolled_with_few_elements_and_the_place_survives_a_visit(
    gallery: Gallery, tab: Page
) -> None:
    run = gallery.api.catalog.get_run(gallery.videos["rain", "hard"])
    copy_run(gallery.api.catalog, run, 3000, request_key=None)
    tab.goto(f"{gallery.url}/cosmos/")
    here(tab)
    until(lambda: tab.locator("#count").text_content() == "3,005 tiles", "the number")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("End")
    when(tab, "document.activeElement.getAttribute('aria-posinset') === '3005'")
    assert tab.evaluate("document.querySelectorAll('#field > *').length") < 100
    tab.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    at = "document.elementFromPoint(200, 500)?.closest('[data-run]')?.dataset.run"
    when(tab, at)
    middle = tab.evaluate(at)
    tab.locator(f"[data-run={middle}] .tile-title").click()
    tab.wait_for_url(f"**/cosmos/run/{middle}")
    tab.go_back()
    when(tab, f"{at} === '{middle}'")
    tab.keyboard.press("Control+a")
    tab.locator(".toast", has_text="3,005 tiles are selected").wait_for()


def test_a_name_that_is_markup_stays_text(gallery: Gallery, tab: Page) -> None:
    text = "<img src=x onerror=alert(1)>"
    prompt = gallery.api.create_prompt(text, "street", name=text[:20])
    run = gallery.api.create_run(prompt["id"], tags=["<b>x</b>"])
    tab.goto(f"{gallery.url}/cosmos/?words=img&tag=%3Cb%3Ex%3C%2Fb%3E")
    assert here(tab) == [run["id"]]
    tab.locator(f"[data-run={run['id']}]", has_text=text).wait_for()
    assert tab.locator(".tile b, .tile img").count() == 0
    assert tab.locator(".chip").count() == 2


def test_what_changes_while_a_page_is_on_its_way_is_told_when_its_stream_begins(
    gallery: Gallery, tab: Page
) -> None:
    first, second = (
        gallery.api.create_run(gallery.prompts["noon"], queue=True, seed=n)["id"] for n in (8, 9)
    )
    begun = []

    def begin(route: Route) -> None:
        if not begun:
            begun.append(gallery.api.catalog.claim(first, "here") is not None)
        route.continue_()

    tab.route("**/cosmos/events*", begin)
    tab.goto(f"{gallery.url}/cosmos/?status=pending&status=uploading")
    tab.locator(f"[data-run={first}] progress").wait_for(state="attached")
    assert begun == [True]
    assert "in the queue" not in (tab.locator(f"[data-run={first}]").text_content() or "")
    tab.locator(f"[data-run={second}]", has_text="in the queue").wait_for()
