"""A real browser, one for all tests of a process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

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


@contextmanager
def window(browser: Browser, **shape: Any) -> Iterator[Page]:
    """A window of its own, as patient as `until`: Playwright is not, for a busy machine."""
    from playwright.sync_api import Error

    context = browser.new_context(**shape)
    context.set_default_timeout(LONG_S * 1000)
    page = context.new_page()
    try:
        yield page
    finally:
        with suppress(Error):
            page.goto("about:blank")  # a context that is closed while its page loads may never end
        context.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A window of 1400 x 900; a script's error or a broken policy fails."""
    wrong: list[str] = []
    with window(browser, viewport={"width": 1400, "height": 900}) as page:
        watch(page, wrong)
        yield page
        found = [*wrong]
    assert found == []


def watch(page: Page, wrong: list[str]) -> None:
    """Keep errors of scripts and what breaks the policy; print what pytest shows of a failure."""
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None,
    )
    page.on("console", lambda line: print("console:", line.type, line.text))
    page.on("requestfailed", lambda asked: print("no answer:", asked.url, asked.failure))
    page.on("response", lambda got: got.ok or print("answer:", got.status, got.url))
