"""The catalog is locked, or its server is gone: the page says so and comes back by itself."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.catalog import database, migrate, turn
from cosmos_pipelines.settings import Settings
from tests.page.conftest import Gallery
from tests.support import web
from tests.support.postgres import running_server, stopped
from tests.support.review_page import review_page
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

JSON = {"Accept": "application/json"}
NOWHERE = "rs_00000000000000000000000000000000"


def all_say(url: str, words: str) -> None:
    """Assert that what asks the catalog answers 503 and one line with these words."""
    for path in ("", "strip", f"run/{NOWHERE}", f"video/{NOWHERE}.mp4"):
        answer = web.get(f"{url}/cosmos/{path}", headers=JSON)
        assert answer.status_code == 503, (path, answer.text)
        assert words in answer.json()["error"]
        assert "\n" not in answer.json()["error"]
        shown = web.get(f"{url}/cosmos/{path}").text
        assert words in shown
        assert "Traceback" not in shown


def is_well(url: str) -> bool:
    """Whether the wall is there."""
    return web.get(f"{url}/cosmos/").status_code == 200


@pytest.fixture
def locked(
    made_gallery: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, sqlite3.Connection, list[str]]]:
    """A page whose catalog another program keeps locked from before it was opened first."""
    for module, name in ((database, "BUSY_S"), (turn, "WAIT_S"), (migrate, "WAIT_S")):
        monkeypatch.setattr(module, name, 0.05)
    home, made = made_gallery
    own = tmp_path / "films"
    shutil.copytree(home, own, ignore=shutil.ignore_patterns(".dagster", ".cosmos"))
    with closing(sqlite3.connect(own / "outputs" / "cosmos.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with CosmosAPI(own) as api, review_page(api) as url:
            yield url, other, list(made["videos"].values())


def test_a_locked_catalog_is_said_and_the_page_comes_back_by_itself(
    locked: tuple[str, sqlite3.Connection, list[str]], tab: Page
) -> None:
    url, other, _ = locked
    all_say(url, "another process keeps it locked")
    tab.goto(f"{url}/cosmos/")
    tab.locator("main").get_by_text("another process keeps it locked").wait_for()
    tab.locator("#trouble:visible").get_by_text("another process keeps it locked").wait_for()
    other.close()
    tab.get_by_role("heading", name="Wall").wait_for()
    tab.locator("#trouble").wait_for(state="hidden")
    tab.locator("#strip").get_by_text("running").wait_for()


def test_an_open_page_reads_anew_once_its_server_of_the_catalog_is_back(
    tmp_path: Path, tab: Page
) -> None:
    with running_server() as server:
        settings = Settings(home=tmp_path, database_url=server)
        with CosmosAPI(settings=settings) as api, review_page(api) as url:
            assert is_well(url)
            tab.goto(f"{url}/cosmos/")
            tab.locator("#strip").get_by_text("running").wait_for()
            tab.evaluate(
                "document.body.addEventListener('cosmos:hello', () => { window.anew = 1 })"
            )
            with stopped(server):
                tab.locator("#trouble:visible").get_by_text("catalog").wait_for()
                all_say(url, "The catalog postgresql+psycopg2://")
            until(lambda: tab.evaluate("window.anew"), "the page to read anew")
            tab.locator("#trouble").wait_for(state="hidden")
            until(lambda: is_well(url), "the wall")


def test_a_fault_of_ours_is_one_line_on_the_page_and_a_traceback_in_the_log(
    gallery: Gallery, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(gallery.api.settings.outputs / "cosmos.db")) as other:
        other.execute("PRAGMA foreign_keys = OFF")
        other.execute("ALTER TABLE runs RENAME TO runs_of_old")
    for path in ("", "wall/ids", f"run/{NOWHERE}", f"still/run/{NOWHERE}.jpg"):
        caplog.clear()
        answer = web.get(f"{gallery.url}/cosmos/{path}")
        assert answer.status_code == 500, path
        assert "The server has failed at this." in answer.text
        assert not [
            word for word in ("Traceback", "sqlite", "SELECT", "runs") if word in answer.text
        ]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        until(lambda: "no such table: runs" in caplog.text, "the traceback")
        said = web.get(f"{gallery.url}/cosmos/{path}", headers=JSON)
        assert (said.status_code, said.json()["error"]) == (500, "The server has failed at this.")


def test_the_news_say_a_fault_of_ours_and_go_on_after_it(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/compare")
    tab.locator("#strip").get_by_text("running").wait_for()
    with closing(sqlite3.connect(gallery.api.settings.outputs / "cosmos.db")) as other:
        other.execute("ALTER TABLE revisions RENAME TO gone")
        other.execute("ALTER TABLE deletions RENAME TO gone_too")
        tab.locator("#trouble:visible").get_by_text("What is new cannot be read").wait_for()
        other.execute("ALTER TABLE gone RENAME TO revisions")
        other.execute("ALTER TABLE gone_too RENAME TO deletions")
    tab.locator("#trouble").wait_for(state="hidden")
