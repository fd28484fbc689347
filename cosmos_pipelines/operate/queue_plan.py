"""The loads to come: which waiting runs share a load, when each is expected, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from loguru import logger

from cosmos_pipelines.batching import plan_loads
from cosmos_pipelines.batching.loads import LoadPlan
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operate.queue_lanes import Lanes, lanes_of
from cosmos_pipelines.runs.estimates.model import RunEstimate
from cosmos_pipelines.runs.estimates.money import price_of
from cosmos_pipelines.runs.forecast import ForecastRun, forecast
from cosmos_pipelines.runs.looks import Looks
from cosmos_pipelines.runs.remaining import Remaining
from cosmos_pipelines.settings import Settings

MOST: Final = 1000
"""Waiting runs that a plan is made of, the first ones of the queue."""


@dataclass(frozen=True)
class LoadToCome:
    """A load that has not started."""

    run_ids: list[str]
    place: str
    engine: str
    model_type: str
    gpus: int
    lanes: list[int]
    """Positions in the lanes of the plan."""
    mode: str
    prepared: bool
    """A dispatcher has taken it out of the queue already."""
    saved_s: float | None
    """GPU seconds that are saved against a load for each run; None: not known."""
    why: str
    """Why these runs are together, and no more of them."""
    added: dict[str, list[str]]
    """By run: controls of others that it executes with weight 0; its pixels may change."""
    times: dict[str, float | None]
    """See `_times`."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        row = asdict(self)
        times = row.pop("times")
        return {**row, **times}


@dataclass(frozen=True)
class QueuePlan:
    """The loads to come in the order of their starts."""

    loads: list[LoadToCome]
    runs: Mapping[str, ForecastRun]
    """What is expected of the runs of which enough is known."""
    unplaced: dict[str, str]
    """Runs that no place can take now, by id: why."""
    lanes: Lanes
    """The GPUs of all places, and the loads that run on them."""

    def mates_of(self, run_id: str) -> list[str]:
        """The other runs of a run's load."""
        mine = (load.run_ids for load in self.loads if run_id in load.run_ids)
        return [other for other in next(mine, []) if other != run_id]

    def times_of(self, run_id: str) -> dict[str, float | None]:
        """When a run is expected to start and to end, and what it costs."""
        found = self.runs.get(run_id)
        return _times([found] if found else [])

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the sums of all loads; None where one is not known."""
        rows = [load.as_dict() for load in self.loads]
        ends = [row["end_s"] for row in rows]
        return {
            "lanes": self.lanes.as_dicts(),
            "active": [load.as_dict() for load in self.lanes.active],
            "loads": rows,
            "unplaced": self.unplaced,
            "ends_s": None if None in ends else max(ends, default=None),
            "saved_s": _sum([row["saved_s"] for row in rows]),
            "cost": _sum([row["cost"] for row in rows]),
        }


def plan_queue(
    catalog: Catalog,
    settings: Settings,
    active: Sequence[Run],
    waiting: Sequence[Run],
    remaining: Remaining,
) -> QueuePlan:
    """Plan these waiting runs, the first ones of the queue, behind the active ones."""
    looks = Looks(catalog, settings, waiting, lambda said, _: logger.debug("{said}", said=said))
    prices = {name: price for name in settings.places if (price := price_of(settings, name))}
    lanes = lanes_of(settings, active, waiting, remaining, prices)
    unsure = {*lanes.unsure}
    schedule = plan_loads(
        [looks.waiting(run) for run in waiting],
        lanes.slots,
        mode=settings.queue.mode,
        company_s=settings.queue.company_s,
        now=time.time(),
    )
    turn = {run.id: number for number, run in enumerate(waiting)}
    in_order = sorted(
        schedule.loads, key=lambda load: (load.start_s, min(turn[one] for one in load.run_ids))
    )
    by_id = {run.id: run for run in waiting}
    estimates: dict[str, RunEstimate] = {}
    sure = []
    for load in in_order:
        found = {run_id: remaining.of_run(by_id[run_id], load.place) for run_id in load.run_ids}
        known = {run_id: one for run_id, one in found.items() if one is not None}
        if len(known) == len(found) and not unsure.intersection(load.slots):
            estimates |= known
            sure.append(load)
        else:
            unsure |= {*load.slots}
    expected = {run.run_id: run for run in forecast(sure, estimates, prices, lanes.late)}
    taken = {run.id for run in waiting if run.load_id is not None}
    loads = [_told(load, taken, expected) for load in in_order]
    unplaced = {run_id: looks.nowhere.get(run_id, why) for run_id, why in schedule.unplaced.items()}
    return QueuePlan(loads, expected, unplaced, lanes)


def _told(load: LoadPlan, taken: set[str], expected: Mapping[str, ForecastRun]) -> LoadToCome:
    prepared = taken.issuperset(load.run_ids)
    runs = [expected[run_id] for run_id in load.run_ids if run_id in expected]
    return LoadToCome(
        [*load.run_ids],
        load.place,
        load.engine,
        load.model_type,
        load.gpus,
        [*load.slots],
        load.mode,
        prepared,
        round(load.saved_s, 1) if runs else None,
        "It is prepared, and starts when a GPU is free." if prepared else load.why,
        {run_id: [*controls] for run_id, controls in load.added.items()},
        _times(runs),
    )


def _times(runs: Sequence[ForecastRun]) -> dict[str, float | None]:
    """Start, end (seconds from now) and cost of runs of one load; None where nothing is known."""
    if not runs:
        return dict.fromkeys(("start_s", "start_p90_s", "end_s", "end_p90_s", "cost"))
    start, end = runs[0].start, max((run.end for run in runs), key=lambda end: end.p50)
    return {
        "start_s": round(start.p50, 1),
        "start_p90_s": None if start.p90 is None else round(start.p90, 1),
        "end_s": round(end.p50, 1),
        "end_p90_s": None if end.p90 is None else round(end.p90, 1),
        "cost": _sum([run.money.p50 if run.money else None for run in runs]),
    }


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 4) if values and len(known) == len(values) else None
