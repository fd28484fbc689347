"""What people wrote is text, no path leads out, and answers have the headers for it."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

import httpx
import pytest

from cosmos_pipelines.page.site import SCREENS
from tests.page.conftest import Gallery
from tests.support import web

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_the_page_of_one_machine_frames_nowhere_and_is_no_others_picture(gallery: Gallery) -> None:
    run = gallery.videos["noon", "soft"]
    for path in ("/cosmos/", "/cosmos", f"/cosmos/video/{run}.mp4", f"/cosmos/still/run/{run}.jpg",
                 "/cosmos/nowhere", "/cosmos/strip", "/cosmos/static/x/icon.svg",
                 "/cosmos/events"):  # fmt: skip
        with web.stream("GET", f"{gallery.url}{path}") as answer:
            found = answer.headers
        assert "frame-ancestors 'none'" in found["content-security-policy"], path
        assert "default-src 'none'" in found["content-security-policy"]
        assert found["x-content-type-options"] == "nosniff"
        assert found["cross-origin-resource-policy"] == "same-origin"
        assert found["referrer-policy"] == "same-origin"


EVIL = '"><img src=x onerror="window.ran=1"><script>window.ran=1</script>'


def test_what_people_write_is_text_on_every_screen(gallery: Gallery, tab: Page) -> None:
    scene = gallery.api.settings.inputs / "street"
    named = scene.with_name("<img src=x onerror=window.ran=1>")
    scene.rename(named)
    gallery.api.create_recipe("<b onclick=ran>", weights={"depth": 1.0})
    prompt = gallery.api.create_prompt(EVIL, named)["id"]
    run = gallery.api.create_run(prompt, recipe="<b onclick=ran>", tags=["<svg onload=ran=1>"])
    video = gallery.videos["rain", "hard"]
    log = gallery.api.file_of_run(video, "log")
    assert log is not None
    with log.open("a") as lines:
        lines.write(f"{EVIL}\n")
    paths = [*(path for path, _ in SCREENS), f"run/{video}"]
    for path in [*paths, f"run/{run['id']}", "?words=<img src=x onerror=window.ran=1>"]:
        tab.goto(f"{gallery.url}/cosmos/{path}")
        tab.locator("main").wait_for()
        assert tab.evaluate("window.ran") is None
        assert tab.locator("img[src=x], b[onclick], svg[onload]").count() == 0


@pytest.mark.parametrize(
    "path",
    [
        "/cosmos/static/x/../../../../../../etc/passwd",
        "/cosmos/static/x/..%2f..%2fsite.py",
        "/cosmos/static/x/%2e%2e/%2e%2e/site.py",
        "/cosmos/static/x/..%5c..%5csite.py",
        "/cosmos/static/x/%2fetc%2fpasswd",
        "/cosmos/static/x//etc/passwd",
        "/cosmos/static/x/css/base.css%00.js",
        "/cosmos/static/x/" + "a" * 5000,
        "/cosmos/video/..%2f..%2fcosmos.toml.mp4",
        "/cosmos/video/%2e%2e%2fcosmos.toml%00.mp4",
        "/cosmos/still/run/..%2f..%2f..%2foutputs%2fcosmos.db.jpg",
        "/cosmos/preview/scene/../../../cosmos.toml.webp",
        "/cosmos/preview/scene/..%2f..%2f..%2fcosmos.toml%00.webp",
        "/cosmos/preview/scene/%2fetc%2fpasswd.webp",
        "/cosmos/preview/scene/" + "a" * 5000 + ".webp",
        "/cosmos/run/..%2f..%2fcosmos.toml",
        "/cosmos/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_project(open_page: str, path: str) -> None:
    asked = http.client.HTTPConnection("127.0.0.1", httpx.URL(open_page).port)
    asked.request("GET", path)
    answer = asked.getresponse()
    assert answer.status == 404, answer.read()
    assert b"root:" not in answer.read()
