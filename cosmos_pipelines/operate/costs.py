"""What one run is expected to take and cost, and what it took: as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.estimates.history import expected_in, record_in, seconds_of
from cosmos_pipelines.runs.estimates.money import paid, priced
from cosmos_pipelines.runs.estimates.words import amount, spoken
from cosmos_pipelines.runs.remaining import Remaining
from cosmos_pipelines.settings import Settings


def costs_of(catalog: Catalog, settings: Settings, run: Run) -> dict[str, str]:
    """Return times and money of a run in words, by name; without what nobody knows.

    Of a run that waits or is active what is expected now, as `said_of`; of one that has ended what
    had been expected (`expected`) beside what it took (`took`, `load`, `transfer`, `waited`,
    `money`).
    """
    if run.status == "pending" or run.status in ACTIVE:
        remaining = Remaining(catalog, settings, [run])
        found = priced(settings, run.backend, remaining.whole(run))
        words: dict[str, str] = dict(found["said"]) if found else {}
        left = remaining.left_s(run) if run.status in ACTIVE else None
        return words | ({} if left is None else {"left": f"about {spoken(left)}"})
    return _ended(record_in(run.outputs, "timing"))


def _ended(timing: Mapping[str, Any]) -> dict[str, str]:
    told: dict[str, str] = {}
    expected = expected_in(timing)
    if expected is not None:
        told["expected"] = f"about {spoken(expected.p50)}"
        if expected.p90 is not None:
            told["expected"] += f", 9 of 10 times at most {spoken(expected.p90)}"
    own_s, load_s = seconds_of(timing.get("seconds")), seconds_of(timing.get("load_s"))
    if own_s is not None:
        told["took"] = spoken(own_s + (load_s or 0))
        if load_s:
            shares = timing.get("load_runs", 1)
            told["took"] += f"; {spoken(load_s)} of it to load"
            told["took"] += f", shared by {shares} runs" if shares != 1 else ""
    times = {name: seconds_of(timing.get(name)) for name in ("upload_s", "download_s", "waited_s")}
    moved = [(word, times[f"{word}_s"]) for word in ("upload", "download")]
    if words := [f"{word} {spoken(seconds)}" for word, seconds in moved if seconds is not None]:
        told["transfer"] = ", ".join(words)
    if times["waited_s"] is not None:
        told["waited"] = spoken(times["waited_s"])
    if (cost := paid(timing)) is not None:
        told["money"] = amount(*cost)
    return told
