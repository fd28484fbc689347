"""The plan of the queue as a picture: a lane for each GPU, a block for each load."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.page.lanes import about, picture_of
from tests.operate.test_queue_plan import made, run_of
from tests.page.test_accessible import AXE, SERIOUS, SPILLS, unreached
from tests.runs.test_remaining import CITY
from tests.support.project import settings_in
from tests.support.review_page import review_page
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOST = '[hosts.gpu1]\nhost = "192.0.2.1"\ngpus = [0, 1]\nprice_per_gpu_hour = 36.0\n'


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[tuple[CosmosAPI, str]]:
    """The page of a host of two GPUs, one of which has a run; five wait, one for any place."""
    with CosmosAPI(settings=settings_in(tmp_path / "films", HOST)) as api, review_page(api) as url:
        catalog = api.catalog
        passes = {**CITY, "depth": {**CITY["color"], "file": "depth.mp4"}}
        catalog.put_scene("city", "inputs/videos/city", "d", passes)
        for _ in range(3):
            made(catalog)
        running = run_of(catalog)
        assert catalog.claim(running.id, "p")
        assert catalog.advance(running.id, "p", "uploading", "running", host="192.0.2.1")
        night = ["batch:night"]
        waiting = [run_of(catalog, queued=True, tags=night) for _ in range(4)]
        where = {"prompt_id": waiting[0].prompt_id, "queued": True}
        catalog.add_run("transfer", "cosmos_transfer1", "auto", {}, **where)
        yield api, url


def test_each_load_is_a_block_of_its_gpu_with_its_runs_times_and_money(
    planned: tuple[CosmosAPI, str], tab: Page
) -> None:
    api, url = planned
    tab.goto(f"{url}/cosmos/queue")
    lanes = tab.locator("#queue-plan .lanes")
    lanes.wait_for()
    assert lanes.locator("h3").all_inner_texts() == [
        "local nothing is planned", "gpu1, GPU 1 of 2", "gpu1, GPU 2 of 2",
    ]  # fmt: skip
    tracks = lanes.locator(".lane-track")
    assert re.match(
        r"1 run, Cosmos-Transfer1 ends in [23] min 1\.60 USD",
        tracks.nth(0).locator(".is-active").locator("..").get_attribute("aria-label") or "",
    )
    idle = tracks.nth(1).locator("a").first
    assert "starts now" in (said := idle.get_attribute("aria-label") or "")
    assert re.search(r"runs? of Cosmos-Transfer1 at gpu1, of the batch night, ", said)
    assert re.search(r"ends in .*, nine of ten times in at most .*, costs \d\.\d0 USD", said)
    assert tracks.locator(".lane-tail").count() >= 1
    idle.click()
    tab.wait_for_url(re.compile(r"#load-planned-\d+$|/cosmos/run/rs_"))
    costs = [load["cost"] for load in api.plan_queue()["loads"]]
    assert (
        tab.locator("#queue-plan p")
        .first.inner_text()
        .endswith(f"What is to come costs {sum(costs):.2f} USD.")
    )
    refused = tab.locator("#queue-plan p.is-paused")
    assert "No place can take it now" in refused.inner_text()


def test_a_newer_plan_comes_by_itself_and_keeps_what_is_scrolled_and_focused(
    planned: tuple[CosmosAPI, str], tab: Page
) -> None:
    api, url = planned
    tab.set_viewport_size({"width": 400, "height": 800})
    tab.goto(f"{url}/cosmos/queue")
    blocks = tab.locator("#queue-plan .lane-track a")
    blocks.first.wait_for()
    blocks.last.focus()
    held = tab.evaluate("document.activeElement.id")
    at = tab.locator(".lanes").evaluate("e => { e.scrollLeft = 40; return e.scrollLeft; }")
    api.kill(api.look_at_queue()["waiting"][-1]["id"])
    until(lambda: tab.locator("#queue-plan p.is-paused").count() == 0, "the newer plan")
    assert tab.locator(".lanes").evaluate("e => e.scrollLeft") == at
    assert tab.evaluate("document.activeElement.id") == held


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_lanes_are_accessible_in_both_colour_schemes_and_at_400_pixels(
    planned: tuple[CosmosAPI, str], tab: Page, scheme: Literal["dark", "light"]
) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": 400, "height": 800})
    tab.goto(f"{planned[1]}/cosmos/queue")
    tab.locator("#queue-plan .lane-track a").first.wait_for()
    tab.evaluate(AXE.read_text())
    assert tab.evaluate(SERIOUS) == []
    assert tab.evaluate(SPILLS) == []
    if scheme == "dark":
        assert unreached(tab) == []


def a_load(number: int, lane: int, start: float | None, end: float | None) -> dict[str, Any]:
    """A load as `plan_queue` gives it."""
    return {
        "run_ids": [f"rs_{number}", f"rs_{number}b"],
        "place": "gpu1",
        "engine": "preview",
        "gpus": 1,
        "lanes": [lane],
        "start_s": start,
        "start_p90_s": start,
        "end_s": end,
        "end_p90_s": None if end is None else end * 1.5,
        "cost": None,
    }


def a_plan(*loads: dict[str, Any], lanes: int = 1) -> dict[str, Any]:
    row = {"place": "gpu1", "of": lanes}
    numbered = [{**row, "number": n} for n in range(1, lanes + 1)]
    return {"lanes": numbered, "active": [], "loads": [*loads], "currency": "EUR"}


def test_a_load_whose_time_is_not_known_stands_behind_the_known_times() -> None:
    plan = a_plan(a_load(1, 0, 0, 100), a_load(2, 0, None, None))
    plan["active"] = [a_load(3, 1, 0, None) | {"started": True}]
    plan["lanes"] *= 2
    picture = picture_of(plan, {})
    (known, unknown), (running,) = (lane["blocks"] for lane in picture["lanes"])
    assert (known["x"], known["kind"]) == ("0.000%", "is-known")
    assert unknown["x"] == picture["unknown_x"]
    assert unknown["lines"][:2] == ["2 runs, preview", "times not known"]
    assert (running["x"], running["lines"][1]) == ("0.000%", "end not known")


def test_a_long_plan_has_a_bounded_picture_and_says_what_it_leaves_out() -> None:
    many = [a_load(n, 0, 60.0 * n, 60.0 * n + 60) for n in range(1000)]
    picture = picture_of(a_plan(*many), {})
    assert picture["width"] <= 8000
    assert len(picture["lanes"][0]["blocks"]) + picture["hidden"] == 1000
    wide = a_plan(*[a_load(n, n, 0, 60) for n in range(60)], lanes=100)
    picture = picture_of(wide, {})
    assert (len(picture["lanes"]), picture["hidden"], len(picture["idle"])) == (40, 20, 40)
    assert picture_of(a_plan(), {})["lanes"] == []


def test_words_are_drawn_only_where_they_can_be_read() -> None:
    short = a_load(9, 0, 0, 0.5)
    long = [a_load(n, 0, 100 * n, 100 * n + 100) for n in range(1, 8)]
    blocks = picture_of(a_plan(short, *long), {})["lanes"][0]["blocks"]
    assert [len(block["lines"]) for block in blocks] == [0, *[2] * 7]
    assert blocks[0]["said"].startswith("2 runs of preview at gpu1, starts now, ends in 0.5 s")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(45, "45 s"), (600, "10 min"), (7200, "2 h"), (7800, "2 h 10 min"), (190000, "2 d 4 h")],
)
def test_a_time_of_the_picture_has_two_numbers_at_most(seconds: float, said: str) -> None:
    assert about(seconds) == said
