"""How long active and waiting runs will still take, by earlier runs that did the same.

The same: engine, operation, place, scene, and all settings but the seed. Where there is none, how
far a run is says it, and nothing is said of a run that has not begun.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.ids import content_hash

LOOK_BACK: Final = 200
"""Completed runs of an operation that are looked at, the newest first."""
USED: Final = 20
SURE: Final = 0.1
"""The part of a run that must be done before that alone says how long the rest takes."""


class Remaining:
    """What earlier runs say; reads each operation's earlier runs once."""

    def __init__(self, catalog: Catalog, runs: Iterable[Run]) -> None:
        self._runs = list(runs)
        earlier = [
            run
            for model_type in {run.model_type for run in self._runs}
            for run in catalog.list_runs("completed", model_type=model_type, limit=LOOK_BACK)
        ]
        ids = {run.prompt_id for run in (*earlier, *self._runs) if run.prompt_id}
        self._scenes = {p.id: p.scene for p in catalog.find_prompts(ids).values()}
        self._took: dict[Any, list[tuple[float, float]]] = {}
        self._in_load = Counter(run.batch_id for run in (*earlier, *self._runs) if run.batch_id)
        for run in earlier:
            if (took := _took(run, alone=self._is_alone(run))) is not None:
                self._took.setdefault(self._same(run), []).append(took)

    def whole_s(self, run: Run) -> float | None:
        """Seconds that a run takes with one load of the model; None if nothing tells."""
        if not (took := self._took.get(self._same(run), [])[:USED]):
            return None
        return float(median(load + own for load, own in took))

    def left_s(self, run: Run, now: datetime | None = None) -> float | None:
        """Seconds until an active run ends; None if nothing tells."""
        done = _part_done(run)
        took = self._took.get(self._same(run), [])[:USED]
        if took and done:
            return float(median(own for _, own in took)) * (1 - done)
        if not self._is_alone(run):  # it began after others, at a time that nobody kept
            return None
        started = run.started_at
        elapsed = 0.0 if started is None else ((now or datetime.now(UTC)) - started).total_seconds()
        if (whole := self.whole_s(run)) is not None:
            return max(0.0, whole - elapsed)
        return elapsed * (1 - done) / done if done >= SURE else None

    def _is_alone(self, run: Run) -> bool:
        """Whether no other run is known that shared its load."""
        return self._in_load[run.batch_id or ""] < 2

    def _same(self, run: Run) -> tuple[Any, ...]:
        settings = {k: v for k, v in run.execution_config.items() if k != "seed"}
        scene = self._scenes.get(run.prompt_id or "")
        return (run.engine, run.model_type, run.backend, scene, content_hash(settings))


def _part_done(run: Run) -> float:
    progress = run.progress or {}
    done, total = progress.get("done"), progress.get("total")
    return min(1.0, done / total) if done and total else 0.0


def _took(run: Run, *, alone: bool) -> tuple[float, float] | None:
    """Seconds of the load and of the run itself; of one without such a record, if it was alone."""
    if timing := run.outputs.get("timing"):
        return float(timing["load_s"]), float(timing["seconds"])
    return (0.0, run.duration_s) if alone and run.duration_s is not None else None
