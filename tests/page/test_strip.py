"""The strip on top of every screen: numbers, what failed since, what to do next."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.catalog.store import Catalog
from tests.page.conftest import Gallery
from tests.support import web
from tests.support.counting import counting
from tests.support.project import make_project
from tests.support.review_page import review_page
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page


def failed_run(catalog: Catalog) -> str:
    """A run that fails now."""
    run = catalog.add_run("transfer", "preview", "local", {})
    assert catalog.claim(run.id, "me")
    assert catalog.advance(run.id, "me", "uploading", "failed", error_kind="model_failed")
    return run.id


def strip_of(url: str) -> str:
    """The text of the strip."""
    return web.get(f"{url}/cosmos/strip").text


def test_failed_runs_count_until_this_browser_has_seen_the_list_of_failed_runs(
    gallery: Gallery, tab: Page
) -> None:
    failed_run(gallery.api.catalog)
    tab.goto(f"{gallery.url}/cosmos/scenes")
    tab.get_by_role("link", name="1 failed").click()
    tab.wait_for_url("**/cosmos/?status=failed")
    tab.get_by_role("link", name="0 failed").wait_for()
    tab.goto(f"{gallery.url}/cosmos/queue")
    tab.get_by_role("link", name="0 failed").wait_for()
    failed_run(gallery.api.catalog)  # pushed: the page is not loaded again
    tab.get_by_role("link", name="1 failed").wait_for()


def test_the_strip_counts_what_runs_and_waits_without_reading_the_runs(gallery: Gallery) -> None:
    api = gallery.api
    for _ in range(3):
        api.create_run(gallery.prompts["noon"], queue=True)
    api.create_run(gallery.prompts["rain"])  # nobody starts it: it does not wait
    run = api.catalog.add_run("transfer", "preview", "local", {})
    assert api.catalog.claim(run.id, "me")
    with counting(api.settings) as counts:
        numbers = api.count_states()
        api.what_now()
    assert (numbers["running"], numbers["waiting"], numbers["failed"]) == (1, 3, 0)
    assert counts["statement"] <= 5
    assert "<b>3</b> waiting" in strip_of(gallery.url)


def test_an_empty_project_is_told_its_next_step_up_to_the_first_video(tmp_path: Path) -> None:
    project = make_project(tmp_path / "films")
    with CosmosAPI(settings=project.settings) as api, review_page(api) as url:
        assert "cosmos demo" in strip_of(url)
        directory = project.scene("street")
        prompt = api.create_prompt("A street", directory)
        api.catalog.engine.dispose()
        assert "order the first video" in strip_of(url)
        run = api.catalog.add_run("transfer", "preview", "local", {}, prompt_id=prompt["id"])
        assert "strip-next" not in strip_of(url)
        api.catalog.claim(run.id, "me")
        for before, after in (("uploading", "running"), ("running", "downloading")):
            assert api.catalog.advance(run.id, "me", before, after)
        assert api.catalog.advance(run.id, "me", "downloading", "completed", outputs={"video": "x"})
        assert f"/cosmos/run/{run.id}" in strip_of(url)
    project.catalog.close()


def test_a_scene_without_a_prompt_asks_for_one(tmp_path: Path) -> None:
    project = make_project(tmp_path / "films")
    with CosmosAPI(settings=project.settings) as api:
        directory = project.scene("town/old street")
        api.prepare_scene(directory)
        assert api.what_now() == {"step": "prompt", "scene": "town/old street"}
    project.catalog.close()


def test_a_project_without_a_daemon_says_that_nothing_will_be_started(
    gallery: Gallery, tab: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmos_pipelines.page.hosts_news.STARTS_S", 0)
    tab.goto(f"{gallery.url}/cosmos/queue")
    tab.locator("#strip").get_by_text("nothing that waits will be started").wait_for()


def test_a_time_that_is_none_is_refused_in_words(gallery: Gallery) -> None:
    answer = web.get(f"{gallery.url}/cosmos/strip", params={"since": "<b>soon</b>"})
    assert answer.status_code == 400
    assert "is no time" in answer.text
    assert "<b>soon" not in answer.text


def test_hosts_are_looked_at_once_for_all_pages(gallery: Gallery) -> None:
    others = set(threading.enumerate())
    for _ in range(5):
        strip_of(gallery.url)

    def looking() -> int:
        mine = set(threading.enumerate()) - others
        return sum(t.name == "watch-local" for t in mine)

    assert until(looking, "a look") == 1
