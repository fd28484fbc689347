"""What the wall costs with 10,000 runs, in a real Chromium.

`first_tiles_ms`: from the request until the pictures of the first window are on the screen, and
`listing_ms`: the same for the listing of a directory with as many files that Python's own web
server makes, in turn. `words_ms`: from Enter behind a word until the tiles that have it are there.
`rows_per_s`: rows of tiles that pass while the wheel turns as fast as the browser takes it;
`frames_per_s` and `longest_frame_ms` meanwhile, and the CPU that the page's main thread took for a
frame, which other work of the machine does not change. `kilobytes`: what came before the pictures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from loguru import logger
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.wall_project import make
from cosmos_pipelines.api import CosmosAPI
from tests.support.browser import CHROMIUM, WORDS
from tests.support.review_page import review_page

ROUNDS = 7
SCROLL_S = 3.0
WINDOW = {"width": 1400, "height": 900}

SCROLL = """seconds => new Promise(done => {
  const began = performance.now(), from = scrollY, frames = [];
  let last = began, blank = 0;
  const pitch = document.querySelector('#field .tile').offsetHeight + 10;
  const step = now => {
    frames.push(now - last);
    last = now;
    scrollBy(0, pitch);
    const shown = document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest('.tile');
    if (!shown?.dataset.run) blank += 1;
    if (now - began < seconds * 1000) requestAnimationFrame(step);
    else done({
      rows_per_s: Math.round((scrollY - from) / pitch / (now - began) * 1000),
      frames_per_s: Math.round(frames.length / (now - began) * 1000),
      longest_frame_ms: Math.round(Math.max(...frames)),
      frames_over_50_ms: frames.filter(f => f > 50).length,
      frames_before_their_tile: blank,
    });
  };
  requestAnimationFrame(step);
})"""
WATCH = """word => {
  delete window.took;
  addEventListener('keydown', event => {
    const began = event.timeStamp;
    const look = () => {
      const there = document.querySelector('.chip b')?.textContent === word;
      const seen = [...document.querySelectorAll('#field.is-live [data-run] img')]
        .filter(i => i.getBoundingClientRect().top < innerHeight);
      if (there && seen.length && seen.every(i => i.complete))
        window.took = performance.now() - began;
      else setTimeout(look, 4);
    };
    look();
  }, { once: true, capture: true });
}"""
PICTURES = """() => {
  const seen = [...document.querySelectorAll('#field [data-run] img')]
    .filter(i => i.getBoundingClientRect().top < innerHeight);
  return seen.length > 0 && seen.every(i => i.complete) && !!document.querySelector('.is-live');
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    count = parser.parse_args().runs
    logger.remove()
    with tempfile.TemporaryDirectory() as directory:
        home, files = make(Path(directory) / "films", count), Path(directory) / "files"
        files.mkdir()
        with CosmosAPI(home) as api, review_page(api) as url, sync_playwright() as playwright:
            for run_id in api.find_run_ids()["ids"]:
                (files / f"{run_id}.mp4").touch()
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=WORDS)
            _first_tiles(browser, url, files, count)
            _moved(browser, url)
            _words(browser, url)
            _scrolled(browser, url)
            browser.close()


def _first_tiles(browser: Browser, url: str, files: Path, count: int) -> None:
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen(
            [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", files],
            stdout=said, stderr=said,
        )  # fmt: skip
        try:
            words = b""
            while b"http://" not in words:
                time.sleep(0.05)
                said.seek(0)
                words = said.read()
            listing = words.split(b"(")[1].split(b")")[0].decode()
            ours, theirs = list[float](), list[float]()
            for _ in range(ROUNDS):
                ours.append(_opened(browser, f"{url}/cosmos/", PICTURES))
                ready = f"() => document.querySelectorAll('li').length === {count}"
                theirs.append(_opened(browser, listing, ready))
        finally:
            server.terminate()
            server.wait()
    _print(
        first_tiles_ms=round(median(ours)),
        listing_ms=round(median(theirs)),
        ratio=round(median(ours) / median(theirs), 2),
    )


def _opened(browser: Browser, url: str, ready: str) -> float:
    """Milliseconds until a page in a window of its own, with nothing kept, is ready."""
    with browser.new_context(viewport=WINDOW) as context:
        page = context.new_page()
        began = time.perf_counter()
        page.goto(url, wait_until="commit")
        _until(page, ready)
        return (time.perf_counter() - began) * 1000


def _moved(browser: Browser, url: str) -> None:
    with browser.new_context(viewport=WINDOW) as context:
        page = context.new_page()
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        pictures, sizes = set[str](), dict[str, float]()
        wire.on("Network.requestWillBeSent", lambda e: pictures.add(e["requestId"]) if "/still/" in e["request"]["url"] else None)  # fmt: skip  # noqa: E501
        wire.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}))  # fmt: skip  # noqa: E501
        page.goto(f"{url}/cosmos/")
        _until(page, PICTURES)
        page.wait_for_timeout(500)
        moved = sum(size for request, size in sizes.items() if request not in pictures)
        _print(kilobytes=round(moved / 1000, 1), requests=len(sizes) - len(pictures))


def _words(browser: Browser, url: str) -> None:
    took = []
    with browser.new_context(viewport=WINDOW) as context:
        page = context.new_page()
        page.goto(f"{url}/cosmos/")
        _until(page, PICTURES)
        for word in ("rainy night", "fog", "harbour snow", "golden", "campus dawn dust"):
            page.keyboard.press("/")
            page.locator("#words").fill(word)
            page.evaluate(WATCH, word)
            page.keyboard.press("Enter")
            _until(page, "() => window.took !== undefined")
            took.append(page.evaluate("window.took"))
            page.keyboard.press("Escape")
    _print(words_ms=round(median(took)), words_slowest_ms=round(max(took)))


def _scrolled(browser: Browser, url: str) -> None:
    with browser.new_context(viewport=WINDOW) as context:
        page = context.new_page()
        page.goto(f"{url}/cosmos/")
        _until(page, PICTURES)
        page.wait_for_timeout(500)
        wire = context.new_cdp_session(page)
        wire.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = _busy_s(wire)
        found = page.evaluate(SCROLL, SCROLL_S)
        busy_ms = 1000 * (_busy_s(wire) - before) / (found["frames_per_s"] * SCROLL_S)
        _print(**found, main_thread_ms_per_frame=round(busy_ms, 1))


def _busy_s(wire: CDPSession) -> float:
    metrics = wire.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


def _until(page: Page, script: str) -> None:
    while not page.evaluate(script):
        time.sleep(0.005)


def _print(**values: Any) -> None:
    print(json.dumps({"bench": "page_wall", **values}), flush=True)


if __name__ == "__main__":
    main()
