"""The next loads of the queue, which a dispatcher takes out of it.

All waiting runs at which it looks are planned by what the catalog says of them. Files are looked
at only for the runs whose turn has come, and none is read to its end: its run does that.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from cosmos_pipelines.batching import plan_loads
from cosmos_pipelines.batching.loads import LoadPlan
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.budget import keep_budget
from cosmos_pipelines.runs.looks import Looks, Say
from cosmos_pipelines.runs.room import Room
from cosmos_pipelines.settings import Settings

LOOKED_AT: Final = 200
"""Waiting runs from which the next loads are made."""
LOOKS: Final = 5
"""Times that so many runs are looked at while none of them can go where there is room."""


def next_loads(
    catalog: Catalog,
    settings: Settings,
    room: Room,
    say: Say,
    alone: Collection[str] = (),
) -> list[NewLoad]:
    """The loads that may be taken out of the queue now, in the order of the queue.

    `room`: where; `alone`: runs that share no load, by id.

    A run whose inputs cannot be used, or are no longer as they were measured, is alone: when it
    starts, its scene is made anew, or it fails and says why. So is a run whose engine raises an
    error; `say` is told.
    """
    if room.open and (settings.budget.of_a_day or settings.budget.of_a_batch):
        keep_budget(catalog, settings)  # which pauses the queue when it is used up
    without, engines = set[str](), set[str]()
    for _ in range(LOOKS if room.open else 0):
        waiting = catalog.ready_runs(
            LOOKED_AT, places=room.places, without=without, without_engines=engines
        )
        if loads := _loads_of(catalog, settings, room, waiting, say, alone):
            return loads
        if len(waiting) < LOOKED_AT:
            break
        # none of these can go where there is room; what can may be behind them
        without |= {run.id for run in waiting if not run.any_place}
        engines |= {run.engine for run in waiting if run.any_place}
    return []


def _loads_of(
    catalog: Catalog,
    settings: Settings,
    room: Room,
    waiting: Sequence[Run],
    say: Say,
    alone: Collection[str],
) -> list[NewLoad]:
    """The loads of these waiting runs that may be taken out of the queue now."""
    looks = Looks(catalog, settings, waiting, say)
    by_id = {run.id: run for run in waiting}
    order = {run.id: number for number, run in enumerate(waiting)}
    schedule = plan_loads(
        [looks.waiting(run, alone) for run in waiting],
        room.slots,
        mode=settings.queue.mode,
        company_s=settings.queue.company_s,
        now=time.time(),
    )
    loads = [
        _load(planned, tuple(run.id for run in runs))
        for planned in _first_ones(schedule.loads, room)
        for runs in looks.batches([by_id[run_id] for run_id in planned.run_ids], planned.mode)
    ]
    return sorted(loads, key=lambda load: order[load.run_ids[0]])


def _first_ones(planned: Iterable[LoadPlan], room: Room) -> Iterator[LoadPlan]:
    """The loads that come first on GPUs which may all be given another load now."""
    used: set[int] = set()
    for load in planned:
        free_at = max(room.slots[number].free_at for number in load.slots)
        waits_for_company = load.start_s > free_at
        free = room.open.issuperset(load.slots) and used.isdisjoint(load.slots)
        if free and not waits_for_company:
            yield load
        used |= {*load.slots}


def _load(planned: LoadPlan, run_ids: tuple[str, ...]) -> NewLoad:
    told = {
        "why": planned.why,
        "saved_s": planned.saved_s,
        "added": {run_id: [*planned.added.get(run_id, ())] for run_id in run_ids},
    }
    return NewLoad(
        planned.place, planned.engine, planned.model_type, run_ids, planned.gpus, planned.mode, told
    )
