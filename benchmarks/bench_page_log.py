"""How fast the page shows a log: a line that is printed, and a log of 500 MB.

Real Chromium, the real server, a real file; no model. Lines:

- `line`: milliseconds from the write of a line until its row is in the document of a page that
  follows (found by a MutationObserver), and until the next frame is drawn.
- `tail -f`: the same until `tail -f` has printed the line on a pipe: what is left to somebody with
  a shell on this machine.
- `open`: milliseconds from the click until the last line of the log is drawn, and until all lines
  are counted; bytes that were moved for it; memory of the page (V8's heap) and of the server.
- `open (plain)`: the same file opened in a tab as plain text, as a file listing offers it; None if
  it was not there after a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import TimeoutError as NotThere

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.runs.log import log_file
from tests.support.dagster_project import add_run
from tests.support.project import make_project
from tests.support.review_page import review_page
from tests.support.stand_in_engine import registered

LINES = 200
EVERY_S = 0.05
WATCH = """() => {
    window.seen = [];
    new MutationObserver(() => {
        for (const row of document.querySelectorAll(".log-row:nth-last-child(-n+4) .log-text")) {
            const line = row.textContent;
            if (!line.startsWith("printed ") || window.seen.some(([one]) => one === line)) continue;
            const entry = [line, Date.now() + performance.now() % 1, 0];
            window.seen.push(entry);
            requestAnimationFrame(() => requestAnimationFrame(() => { entry[2] = Date.now(); }));
        }
    }).observe(document.querySelector("[data-log-rows]"), { childList: true, subtree: true });
}"""


def say(what: str, **facts: Any) -> None:
    """Print one line of the result."""
    print(json.dumps({"benchmark": "page_log", "what": what, **facts}), flush=True)


def spread(times: list[float]) -> dict[str, float]:
    """Median and 95th percentile, in milliseconds."""
    return {"p50_ms": round(median(times), 1), "p95_ms": round(quantiles(times, n=20)[-1], 1)}


def write_lines(path: Path) -> dict[str, float]:
    """Append lines now and then, as a model does; return when each was written (ms)."""
    written = {}
    with path.open("ab", buffering=0) as log:
        for n in range(LINES):
            line = f"printed {n}"
            written[line] = time.time() * 1000
            log.write(f"{line}\n".encode())
            time.sleep(EVERY_S)
    return written


def follow(browser: Browser, url: str, run_id: str, log: Path) -> None:
    """A line that is printed, on a page that follows."""
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    tab.goto(f"{url}/cosmos/run/{run_id}#log")
    tab.locator(".log-row").first.wait_for()
    tab.evaluate(WATCH)
    time.sleep(1)
    written = write_lines(log)
    time.sleep(1)
    seen = {line: (shown, drawn) for line, shown, drawn in tab.evaluate("window.seen")}
    rows = [seen[line][0] - at for line, at in written.items() if line in seen]
    drawn = [seen[line][1] - at for line, at in written.items() if line in seen]
    say("line printed, row in the document", lines=len(rows), of=LINES, **spread(rows))
    say("line printed, row drawn", lines=len(drawn), of=LINES, **spread(drawn))
    tab.close()


def tail(log: Path) -> None:
    """The same with `tail -f` and a pipe."""
    told: dict[str, float] = {}
    with subprocess.Popen(["tail", "-n0", "-f", log], stdout=subprocess.PIPE, text=True) as reader:

        def read() -> None:
            assert reader.stdout is not None
            for line in reader.stdout:
                told[line.strip()] = time.time() * 1000

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(1)
        written = write_lines(log)
        time.sleep(1)
        reader.terminate()
        thread.join()
    times = [told[line] - at for line, at in written.items() if line in told]
    say("line printed, printed by tail -f", lines=len(times), of=LINES, **spread(times))


def fill(log: Path, megabytes: int) -> int:
    """Write a log like a model's; return how many lines it has."""
    line = (
        "[11-29 15:25:49|INFO|inference.py:278:sample] chunk {:9d} of the clip, some more words\n"
    )
    block = "".join(line.format(n) for n in range(10_000)).encode()
    blocks = megabytes * 1_000_000 // len(block)
    with log.open("wb") as file:
        for _ in range(blocks):
            file.write(block)
        file.write(b"the last line\n")
    return blocks * 10_000 + 1


def resident() -> int:
    """Bytes of memory of this process, which is the server."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def timed(wait: Callable[[], Any]) -> float:
    """Milliseconds that something takes."""
    begun = time.perf_counter()
    wait()
    return round((time.perf_counter() - begun) * 1000, 1)


def open_long(browser: Browser, url: str, run_id: str, log: Path, megabytes: int) -> None:
    """A long log opens at its end, is counted, and jumps to its beginning and to an error."""
    lines = fill(log, megabytes)
    for turn in ("first", "again"):
        tab = browser.new_page(viewport={"width": 1400, "height": 900})
        tab.goto(f"{url}/cosmos/run/{run_id}")
        moved: list[int] = []
        tab.on("response", partial(_measure, moved))
        before = resident()
        begun = time.perf_counter()
        tab.evaluate("location.hash = '#log'")
        tab.get_by_text("the last line", exact=True).wait_for()
        shown = (time.perf_counter() - begun) * 1000
        tab.locator("[data-log-state]", has_text=re.compile("^[\\d,]+ lines$")).wait_for()
        assert tab.locator(".log-number").last.text_content() == str(lines)
        counted = (time.perf_counter() - begun) * 1000
        facts = {
            "last_line_ms": round(shown, 1),
            "all_lines_counted_ms": round(counted, 1),
            "moved_bytes": sum(moved),
            "server_grew_bytes": max(0, resident() - before),
        }
        begun = time.perf_counter()
        tab.locator("[data-log-scroll]").press("Home")
        tab.locator(".log-number[href='#L1']").wait_for()
        facts["to_the_beginning_ms"] = round((time.perf_counter() - begun) * 1000, 1)
        heap = tab.evaluate("performance.memory.usedJSHeapSize")
        say(f"log of {megabytes} MB, {turn}", lines=lines, page_heap_bytes=heap, **facts)
        tab.close()


def _measure(moved: list[int], response: Any) -> None:
    if "/log/" in response.url:
        moved.append(int(response.headers.get("content-length", 0)))


def open_plain(browser: Browser, log: Path, megabytes: int) -> None:
    """The same file as a file listing serves it."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(log.parent))
    handler.func.log_message = lambda *_: None  # type: ignore[attr-defined]
    handler.func.extensions_map = {".log": "text/plain"}  # type: ignore[attr-defined]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab = browser.new_page()
        took: float | None = None
        try:
            address = f"http://127.0.0.1:{server.server_port}/{log.name}"
            took = timed(lambda: tab.goto(address, timeout=60_000))
        except (NotThere, Exception) as e:  # noqa: BLE001 - the tab may crash
            print(f"plain: {type(e).__name__}", file=sys.stderr)
        say(
            f"log of {megabytes} MB as plain text, {'loaded' if took else 'not in a minute'}",
            ms=took,
        )
        server.shutdown()


def main() -> None:
    """Print all lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--no-plain", action="store_true", help="leave the plain text out")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="bench-log-"))
    chromium = shutil.which("chromium")
    try:
        with registered(), sync_playwright() as playwright:
            project = make_project(home / "home")
            project.scene()
            run = project.catalog.claim(add_run(project).id, owner_name())
            assert run is not None
            log = log_file(project.settings.outputs, run.id)
            log.parent.mkdir(parents=True)
            log.write_bytes(b"begun\n")
            browser = playwright.chromium.launch(
                executable_path=chromium,
                args=["--no-sandbox", "--enable-precise-memory-info"],
            )
            with CosmosAPI(settings=project.settings) as api, review_page(api) as url:
                follow(browser, url, run.id, log)
                tail(log)
                open_long(browser, url, run.id, log, options.megabytes)
                if not options.no_plain:
                    open_plain(browser, log, options.megabytes)
                project.catalog.advance(
                    run.id, owner_name(), "uploading", "failed", error_kind="lost"
                )
            browser.close()
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
