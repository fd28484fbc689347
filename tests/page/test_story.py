"""One person's day on the review page: a scene is dropped, videos are ordered, judged, found again.

Everything is real: `cosmos ui` with Dagster's daemon, the preview engine, a browser.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cosmos_pipelines.api import CosmosAPI
from tests.page.test_server import Served
from tests.support.project import PASSES, settings_in, write_video
from tests.support.waiting import LONG_S, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

GOLD = "The square at golden hour, warm light on the snow"
RAIN = "The square on a rainy night, neon reflections on the ground"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[tuple[Served, CosmosAPI]]:
    """`cosmos ui` of an empty project that takes directories quickly."""
    settings = settings_in(tmp_path / "my films", "[scenes]\nsettle_s = 1\n")
    served = Served(settings.home)
    with CosmosAPI(settings.home) as api:
        yield served, api
    served.process.send_signal(signal.SIGINT)
    served.process.wait(LONG_S)


@pytest.mark.timeout(400)
def test_a_person_drops_a_scene_orders_a_sweep_judges_it_and_finds_the_best_by_words(
    studio: tuple[Served, CosmosAPI], tab: Page
) -> None:
    served, api = studio
    cosmos = f"{served.url}/cosmos"

    tab.goto(f"{cosmos}/")
    tab.locator("#strip", has_text="inputs/videos").wait_for()
    for number, name in enumerate(PASSES):
        file = api.settings.inputs / "snow square" / f"{name}.mp4"
        write_video(file, frames=12, width=160, height=96, seed=40 * number)
    tab.goto(f"{cosmos}/scenes")
    tab.get_by_text("snow square").first.wait_for()

    for text in (GOLD, RAIN):
        tab.goto(f"{cosmos}/prompts/new")
        tab.fill("#text", text)
        tab.click("text=Save the prompt")
        tab.wait_for_url(re.compile("/cosmos/prompt/ps_"))
    gold, rain = (api.search_prompts(text)[0]["id"] for text in ("golden", "neon"))

    tab.goto(f"{cosmos}/new?prompt={gold}&prompt={rain}")
    tab.fill("#seeds", "1-2")
    tab.fill("#batch_name", "first look")
    tab.locator("#queue:enabled", has_text="Queue 4 runs").click()
    tab.locator("#queued", has_text="4 runs queued").wait_for()
    tab.locator("#queued a", has_text="wall").click()
    tiles = tab.locator(".tile.is-completed img")
    until(lambda: tiles.count() == 4, "four tiles with a still", within_s=LONG_S)  # by push alone

    tab.keyboard.press("/")
    tab.keyboard.type("neon")
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile("words=neon"))
    until(lambda: tab.locator("[data-run]").count() == 2, "the two videos of the rain")
    chosen = []
    for tile in tab.locator("[data-run]").all():
        chosen.append(tile.get_attribute("data-run"))
        tile.focus()
        tab.keyboard.press("c")
    tab.get_by_role("region", name="Compare set").get_by_role("link", name="Compare").click()
    tab.wait_for_url(re.compile("/cosmos/compare"))
    pictures = tab.locator("canvas:visible")
    until(lambda: pictures.count() == 2, "both videos side by side")
    best = str(tab.locator('[data-run][aria-current="true"]').get_attribute("data-run"))
    assert best in chosen
    tab.keyboard.press("5")
    until(lambda: api.get_run(best)["rating"] == 5, "the rating")
    tab.keyboard.press("u")

    def larger() -> list[dict[str, object]]:
        return [r for r in api.list_runs(model_type="upscale") if r["parent_run_id"] == best]

    until(lambda: [run["status"] for run in larger()] == ["completed"], "the 4K", within_s=LONG_S)

    tab.goto(f"{cosmos}/?words=neon&rating=5")
    only = tab.locator("[data-run]")
    until(lambda: only.count() == 1, "the best video")
    assert only.get_attribute("data-run") == best
    only.get_by_text("4K", exact=True).first.wait_for()
    only.locator("a[href^='/cosmos/run/']").first.click()
    tab.wait_for_url(f"{cosmos}/run/{best}")
    for told in (RAIN, "first look"):
        tab.get_by_text(told).first.wait_for()
    tab.locator(f"a[href='/cosmos/run/{larger()[0]['id']}']").first.click()
    tab.get_by_text("3840").first.wait_for()
