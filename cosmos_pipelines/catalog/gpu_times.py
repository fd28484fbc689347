"""When GPUs worked, by order: what a budget counts. Triggers write it down when a run ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.records import ACTIVE
from cosmos_pipelines.catalog.tables import gpu_times, runs


@dataclass(frozen=True)
class GpuTime:
    """The time of one order: of one load of a model, however many runs shared it."""

    order_id: str
    backend: str
    engine: str
    gpus: int
    started_at: datetime
    ended_at: datetime | None
    """None: it is still at work."""


class GpuTimes(Database):
    """The catalog's part for the time of GPUs."""

    def gpu_times(self, since: datetime) -> list[GpuTime]:
        """Return the orders that were at work since then, or still are.

        An order whose run is executed again, or deleted, stays in the list.
        """
        columns = [gpu_times.c[name] for name in GpuTime.__dataclass_fields__]
        ended = {
            row.order_id: GpuTime(**row._mapping)
            for row in self.rows(select(*columns).where(gpu_times.c.ended_at >= since))
        }
        order = func.coalesce(runs.c.batch_id, runs.c.id).label("order_id")
        working = select(
            order, runs.c.backend, runs.c.engine, runs.c.execution_config, runs.c.started_at
        ).where(runs.c.status.in_(ACTIVE), runs.c.started_at.is_not(None))
        for row in self.rows(working):
            said, earlier = row.execution_config.get("num_gpus"), ended.get(row.order_id)
            ended[row.order_id] = GpuTime(
                row.order_id,
                row.backend,
                row.engine,
                gpus=said if type(said) is int else 1,
                started_at=min(row.started_at, earlier.started_at) if earlier else row.started_at,
                ended_at=None,
            )
        return list(ended.values())
