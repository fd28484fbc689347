"""How fast `cosmos logs` is, against `tail` and `cat`: how late a line comes, and large logs.

One JSON object a line. `ratio` is our time divided by theirs, both measured at once. What `cosmos`
takes to start (measured with a log of one line) is taken off where the unit says so.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.log import RunLog, log_file
from cosmos_pipelines.settings import Settings, load_settings

LINES = 500
EVERY_S = 0.02
START_S = 3.0
"""Seconds for the start of whoever follows."""
ROUNDS = 5
LARGE = 200 << 20
PROGRESS = (4 << 20, 8 << 20, 16 << 20, 32 << 20)
WRITER = (
    "import sys, time\n"
    f"for _ in range({LINES}): print(time.monotonic_ns(), flush=True); time.sleep({EVERY_S})"
)


class Place:
    """A project whose runs this process executes."""

    def __init__(self, home: Path) -> None:
        (home / "cosmos.toml").write_text("")
        self.settings: Settings = load_settings(home)
        self.catalog = Catalog.open(self.settings.catalog_url)
        self.cosmos = [sys.executable, "-m", "cosmos_pipelines.cli", "--home", str(home)]

    def run(self) -> tuple[str, Path]:
        """Return a run that this process executes, and its log, which is empty."""
        made = self.catalog.add_run("transfer", "preview", "local", {})
        self.catalog.claim(made.id, owner_name(), lease_s=3600)
        file = log_file(self.settings.outputs, made.id)
        file.parent.mkdir(parents=True)
        file.touch()
        return made.id, file

    def end(self, run_id: str) -> None:
        """End a run, so that nobody follows its log any more."""
        fields = {"error_kind": "model_failed"}
        self.catalog.advance(run_id, owner_name(), "uploading", "failed", **fields)


class Reader:
    """A program that prints lines of the time when they were written; notes how late they come."""

    def __init__(self, words: list[str]) -> None:
        self.late: list[float] = []
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.late.append((time.monotonic_ns() - int(line)) / 1e6)

    def finish(self) -> list[float]:
        """Wait for the last line; return the milliseconds by which the lines came late, sorted."""
        until = time.monotonic() + 10
        while len(self.late) < LINES and time.monotonic() < until:
            time.sleep(0.01)
        self.process.terminate()
        self._thread.join()
        return sorted(self.late)


def say(name: str, value: float, unit: str, against: str, ratio: float | None = None) -> None:
    """Print one result."""
    line = {"name": name, "value": round(value, 2), "unit": unit, "against": against}
    print(json.dumps(line | ({} if ratio is None else {"ratio": round(ratio, 2)})), flush=True)


def compare(name: str, ours: list[float], theirs: list[float]) -> None:
    """Print median and 99th percentile of what came late."""
    for share, called in ((0.5, "median"), (0.99, "p99")):
        mine, other = (late[int(share * (len(late) - 1))] for late in (ours, theirs))
        say(f"{name}, {called}", mine, "ms late", f"tail -f, {other:.2f} ms", mine / other)


def follow_a_file(place: Place) -> None:
    """Follow a log that this process writes."""
    run_id, file = place.run()
    readers = [Reader([*place.cosmos, "logs", "-f", run_id]), Reader(tail_of(file))]
    time.sleep(START_S)
    with file.open("a") as log:
        for _ in range(LINES):
            log.write(f"{time.monotonic_ns()}\n")
            log.flush()
            time.sleep(EVERY_S)
    compare("logs -f of a file", *(reader.finish() for reader in readers))
    place.end(run_id)


def follow_a_run(place: Place) -> None:
    """Follow a run of the local backend; `tail` reads what the program itself writes."""
    run_id, _ = place.run()
    backend = LocalBackend(place.settings.work)
    order = Order(
        id=run_id, run_ids=(run_id,), engine="none", model_type="transfer", inputs={}, expected=(),
        argv=(sys.executable, "-c", WRITER),
    )  # fmt: skip
    ours = Reader([*place.cosmos, "logs", "-f", run_id])
    time.sleep(START_S)
    handle = backend.launch(order)
    theirs = Reader(tail_of(Path(handle.run_dir) / "run.log"))
    with RunLog(place.settings.outputs, [run_id], None) as log:
        for chunk in backend.follow(handle):
            log.write(chunk)
    compare("logs -f of a local run", ours.finish(), theirs.finish())
    place.end(run_id)


def tail_of(file: Path) -> list[str]:
    """Return the words of `tail` that follow a file from its beginning."""
    return ["tail", "-n", "+1", "-f", str(file)]


def statements(place: Place) -> None:
    """Count what following a run asks of the catalog while its status does not change."""
    run_id, _ = place.run()
    asked = 0

    def count(*_: object) -> None:
        nonlocal asked
        asked += 1

    with CosmosAPI(settings=place.settings) as api:
        thread = threading.Thread(target=lambda: list(api.stream_logs(run_id, follow=True)))
        thread.start()
        time.sleep(1)
        event.listen(Engine, "before_cursor_execute", count)
        time.sleep(5)
        event.remove(Engine, "before_cursor_execute", count)
        place.end(run_id)
        thread.join()
    say("logs -f of a silent run", asked / 5, "statements a second", "none")


def cpu_of(words: list[str]) -> float:
    """CPU time of a command line whose output goes through a pipe, in milliseconds."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    while process.stdout.read1(1 << 20):
        pass
    _, status, used = os.wait4(process.pid, 0)
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return (used.ru_utime + used.ru_stime) * 1000


def read_whole(place: Place) -> None:
    """Print large logs; what `cosmos` takes for an empty one is taken off."""
    (empty, first), (large, second) = place.run(), place.run()
    first.write_text("one line\n")
    with second.open("wb") as log:
        line = b"[rank0] step 17/35: 4.21 s an iteration, 76.3 GB of memory in use, loss 0.0312\n"
        for _ in range(LARGE // (len(line) * 1000)):
            log.write(line * 1000)
    cosmos = [*place.cosmos, "logs"]
    cases = {f"logs, {LARGE >> 20} MB": ([*cosmos, large], ["cat", str(second)])}
    tail = [*cosmos, large, "--tail", "100"]
    if subprocess.run(tail, capture_output=True, check=False).returncode == 0:
        name = f"logs --tail 100, {LARGE >> 20} MB"
        cases[name] = (tail, ["tail", "-n", "100", str(second)])
    for size in PROGRESS:
        run_id, file = place.run()
        file.write_bytes(b"\r 42%|####      | 15/35 [01:03<01:24,  4.21s/it]" * (size // 48))
        cases[f"logs, {size >> 20} MB of a progress bar"] = ([*cosmos, run_id], ["cat", str(file)])
    start, best = math.inf, dict.fromkeys(cases, math.inf)
    for _ in range(ROUNDS):
        start = min(start, cpu_of([*cosmos, empty]))
        for name, (ours, _) in cases.items():
            best[name] = min(best[name], cpu_of(ours))
    for name, (_, theirs) in cases.items():
        against = f"{theirs[0]}, {min(cpu_of(theirs) for _ in range(ROUNDS)):.1f} ms"
        say(name, best[name] - start, "ms of CPU beyond the start", against)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        place = Place(Path(directory))
        follow_a_file(place)
        follow_a_run(place)
        statements(place)
        read_whole(place)
        place.catalog.close()


if __name__ == "__main__":
    main()
