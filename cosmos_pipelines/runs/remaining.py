"""How long active and waiting runs will still take, by earlier runs and by how far a run is.

Where no earlier run tells, how far a run is says it, and nothing is said of one that has not begun.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.estimates.model import Estimates, LoadEstimate, RunEstimate
from cosmos_pipelines.runs.estimates.spread import Spread
from cosmos_pipelines.runs.estimates.work import Works
from cosmos_pipelines.settings import Settings

SURE: Final = 0.1
"""The part of a run that must be done before that alone says how long the rest takes."""


class Remaining:
    """What earlier runs say of these; the catalog is read once for all of them."""

    def __init__(self, catalog: Catalog, settings: Settings, runs: Iterable[Run]) -> None:
        runs = list(runs)
        self._estimates = Estimates(catalog, settings)
        self._works = Works(catalog, settings, runs)
        self._in_load = Counter(run.batch_id for run in runs if run.batch_id)

    def whole(self, run: Run) -> LoadEstimate | None:
        """What a run takes with one load of the model; None if nothing tells."""
        return self._estimates.of_load([self._works.of(run)], run.backend)

    def of_run(self, run: Run, place: str | None = None) -> RunEstimate | None:
        """What a run takes in its place, or in another; None if nothing tells."""
        return self._estimates.of_run(self._works.of(run), place or run.backend)

    def gpus_of(self, run: Run) -> int:
        """The GPUs that a run needs."""
        return self._works.of(run).gpus

    def left_s(self, run: Run, now: datetime | None = None) -> float | None:
        """Seconds until an active run ends; None if nothing tells."""
        done, expected = _part_done(run), self.of_run(run)
        if expected and done:
            return expected.own.p50 * (1 - done)
        if self._in_load[run.batch_id or ""] > 1:
            return None  # it began after others, at a time that nobody kept
        elapsed = _elapsed_s(run, now)
        if expected is not None:
            return max(0.0, expected.whole.p50 - elapsed)
        return elapsed * (1 - done) / done if done >= SURE else None

    def order_left_s(self, runs: Sequence[Run], now: datetime | None = None) -> float | None:
        """Seconds until all of these have ended, the active runs of one order; None: nothing tells.

        They are made one after another, behind one load of the model.
        """
        if len(runs) == 1:
            return self.left_s(runs[0], now)
        left = 0.0
        load_s = 0.0
        for run in runs:
            if (expected := self.of_run(run)) is None:
                return None
            left += expected.own.p50 * (1 - _part_done(run))
            load_s = max(load_s, expected.load.p50)
        if not any(_part_done(run) for run in runs):
            left += max(0.0, load_s - max((_elapsed_s(run, now) for run in runs), default=0.0))
        return left

    def order_left(self, runs: Sequence[Run], now: datetime | None = None) -> Spread | None:
        """As `order_left_s`, with what nine of ten do not exceed where earlier runs tell it."""
        middle = self.order_left_s(runs, now)
        if middle is None:
            return None
        late = 0.0
        for run in runs:
            expected = self.of_run(run)
            if expected is None or expected.own.p90 is None:
                return Spread(middle, None)
            late += (expected.own.p90 - expected.own.p50) * (1 - _part_done(run))
        return Spread(middle, middle + late)


def _elapsed_s(run: Run, now: datetime | None) -> float:
    started = run.started_at
    return 0.0 if started is None else ((now or datetime.now(UTC)) - started).total_seconds()


def _part_done(run: Run) -> float:
    progress = run.progress or {}
    done, total = progress.get("done"), progress.get("total")
    return min(1.0, done / total) if done and total else 0.0
