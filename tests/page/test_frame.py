"""What every screen has: the frame, its files, the news of the project."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from cosmos_pipelines.page.site import SCREENS, STATIC
from tests.page.conftest import Gallery
from tests.support import web
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_files_of_others_are_those_that_the_table_names() -> None:
    rows = re.findall(
        r"^\| (\S+) \| .*\| (\d+) \| `(\w+)` \|$",
        (STATIC / "vendor" / "VENDOR.md").read_text(),
        re.MULTILINE,
    )
    named = {name: (int(size), digest) for name, size, digest in rows}
    found = {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in (STATIC / "vendor").iterdir()
        if path.suffix in (".js", ".mjs")
    }
    assert named == found


def test_every_screen_answers_with_its_own_files_alone(gallery: Gallery, tab: Page) -> None:
    others: list[str] = []
    tab.on("request", lambda r: others.append(r.url) if not r.url.startswith(gallery.url) else None)
    tab.on("response", lambda r: others.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    for path, _ in SCREENS:
        tab.goto(f"{gallery.url}/cosmos/{path}")
        tab.locator("nav [aria-current=page]").wait_for()
    assert [url for url in others if not url.startswith("data:")] == []


def test_every_link_of_every_screen_is_answered(gallery: Gallery, tab: Page) -> None:
    runs = (gallery.videos["noon", "soft"], gallery.enhanced, gallery.larger)
    more = ["prompts/new", "recipes", "compare", "scene-page/street", "?view=grid"]
    more += [f"run/{run}" for run in runs] + [f"prompt/{one}" for one in gallery.prompts.values()]
    found: dict[str, str] = {}
    for path in [path for path, _ in SCREENS] + more:
        tab.goto(f"{gallery.url}/cosmos/{path}")
        links = "[...document.querySelectorAll('a[href]')].map(one => one.href.split('#')[0])"
        until(lambda: tab.evaluate("document.readyState") == "complete", path)
        tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        found.update((link, path) for link in tab.evaluate(links) if "/cosmos/" in link)
    with web.client() as client:
        bad = {link: path for link, path in found.items() if client.get(link).status_code != 200}
    assert bad == {}


def test_the_help_writes_out_every_key(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/")
    tab.locator("#field.is-live").wait_for()
    tab.keyboard.press("?")
    keys = tab.locator("#keys[open] kbd").all_text_contents()
    assert "Space" in keys
    assert all(key.strip() for key in keys)


def test_a_change_of_the_catalog_reaches_an_open_page(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/")
    tab.evaluate("document.body.addEventListener('cosmos:change', e => { window.news = e.detail })")
    run_id = gallery.videos["rain", "hard"]
    until(lambda: gallery.api.rate(run_id, 4) and tab.evaluate("window.news"), "the news")
    assert {"kind": "run", "id": run_id, "deleted": False} in tab.evaluate("window.news")


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_an_unknown_run_is_said_in_the_form_that_was_asked_for(
    gallery: Gallery, accept: str
) -> None:
    answer = web.get(f"{gallery.url}/cosmos/run/rs_nope", headers={"Accept": accept})
    assert answer.status_code == 404
    assert "There is no run" in answer.text
    assert answer.headers["content-type"].startswith(accept)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
