"""A real browser, one for all tests of a process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import LONG_S

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
WORDS = ("--no-sandbox", "--autoplay-policy=no-user-gesture-required")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real browser."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=WORDS)
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A window of 1400 x 900, as patient as `until`; a script's error or a broken policy fails."""
    from playwright.sync_api import Error

    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(LONG_S * 1000)  # Playwright's own is too short for a busy machine
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None,
    )
    # what pytest shows of a test that fails
    page.on("console", lambda line: print("console:", line.type, line.text))
    page.on("requestfailed", lambda asked: print("no answer:", asked.url, asked.failure))
    page.on("response", lambda got: got.ok or print("answer:", got.status, got.url))
    yield page
    found = [*wrong]
    with suppress(Error):
        page.goto("about:blank")  # a context that is closed while its page loads may never end
    context.close()
    assert found == []
