"""When GPUs worked: what a budget counts. A trigger writes it down when a run ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.records import ACTIVE
from cosmos_pipelines.catalog.tables import gpu_times, run_tags, runs

BATCH: Final = "batch:"
"""A tag that begins so names the batch that a run was ordered in."""


@dataclass(frozen=True)
class GpuTime:
    """The time of one attempt of a run. Runs of the same order have shared the same GPUs."""

    order_id: str
    batch: str | None
    """The run's tag that names its batch."""
    backend: str
    engine: str
    gpus: int
    started_at: datetime
    ended_at: datetime | None
    """None: it is still at work."""


_COLUMNS: Final = tuple(gpu_times.c[name] for name in GpuTime.__dataclass_fields__)


class GpuTimes(Database):
    """The catalog's part for the time of GPUs.

    An attempt that failed, and a run that was deleted, stay in it.
    """

    def gpu_times(self, since: datetime) -> list[GpuTime]:
        """Return the attempts that were at work since then, or still are."""
        return [*self._ended(gpu_times.c.ended_at >= since), *self._working()]

    def gpu_times_of(self, batches: Iterable[str]) -> list[GpuTime]:
        """Return all attempts of the orders in which runs of these batches took part."""
        wanted = set(batches)
        working = self._working()
        orders = {time.order_id for time in working if time.batch in wanted}
        theirs = select(gpu_times.c.order_id).where(gpu_times.c.batch.in_(wanted))
        part = or_(gpu_times.c.order_id.in_(theirs), gpu_times.c.order_id.in_(orders))
        ended = self._ended(part)
        orders |= {time.order_id for time in ended}
        return [*ended, *(time for time in working if time.order_id in orders)]

    def waiting_batches(self) -> set[str]:
        """Return the batches of runs that wait in the queue, as their runs' tags name them."""
        waits = (runs.c.status == "pending", runs.c.queued_at.is_not(None))
        tags = select(run_tags.c.tag).distinct().join(runs, runs.c.id == run_tags.c.run_id)
        return {row.tag for row in self.rows(tags.where(run_tags.c.tag.startswith(BATCH), *waits))}

    def _ended(self, which: ColumnElement[Any]) -> list[GpuTime]:
        rows = self.rows(select(*_COLUMNS).where(which))
        return [GpuTime(**row._mapping) for row in rows]

    def _working(self) -> list[GpuTime]:
        order = func.coalesce(runs.c.batch_id, runs.c.id).label("order_id")
        columns = runs.c.tags, runs.c.backend, runs.c.engine, runs.c.execution_config
        working = select(order, *columns, runs.c.started_at).where(
            runs.c.status.in_(ACTIVE), runs.c.started_at.is_not(None)
        )
        found = []
        for row in self.rows(working):
            batch = min((tag for tag in row.tags if tag.startswith(BATCH)), default=None)
            said = row.execution_config.get("num_gpus")
            gpus = said if type(said) is int else 1
            one = GpuTime(row.order_id, batch, row.backend, row.engine, gpus, row.started_at, None)
            found.append(one)
        return found
