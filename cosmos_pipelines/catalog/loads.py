"""Loads: the runs that a dispatcher took out of the queue together. Reading and removing them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, select

from cosmos_pipelines.catalog.database import AT_ONCE, Database
from cosmos_pipelines.catalog.records import ACTIVE, Load
from cosmos_pipelines.catalog.tables import loads, runs

LOAD_COLUMNS: Final = tuple(loads.c[name] for name in Load.__dataclass_fields__)


class Loads(Database):
    """The catalog's part for what is known of loads."""

    def find_loads(self, load_ids: Iterable[str]) -> dict[str, Load]:
        """Return the loads with these ids, by id; unknown ids are left out."""
        rows = self.rows_with(select(*LOAD_COLUMNS), loads.c.id, load_ids)
        return {row.id: load_of(row) for row in rows}

    def open_loads(self) -> list[Load]:
        """Return the loads that have not ended, oldest first."""
        statement = select(*LOAD_COLUMNS).where(loads.c.state.in_(("claimed", "started")))
        return [load_of(row) for row in self.rows(statement.order_by(loads.c.created_at))]

    def old_loads(self, before: datetime, limit: int) -> list[str]:
        """Return the ids of loads that ended before a time and that no run needs, oldest first."""
        statement = select(loads.c.id).where(_unneeded(before)).order_by(loads.c.created_at)
        return [row.id for row in self.rows(statement.limit(limit))]

    def remove_loads(self, load_ids: Iterable[str], before: datetime) -> list[str]:
        """Remove those of these loads that are as `old_loads` says; return their ids."""
        wanted, gone = list(load_ids), list[str]()
        for start in range(0, len(wanted), AT_ONCE):
            some = loads.c.id.in_(wanted[start : start + AT_ONCE])
            removal = loads.delete().where(some, _unneeded(before)).returning(loads.c.id)
            with self.write() as tx:
                gone += tx.connection.execute(removal).scalars()
        return gone


def load_of(row: Any) -> Load:
    """Make a record of a row of `LOAD_COLUMNS`."""
    return Load(**row._mapping)


def _unneeded(before: datetime) -> ColumnElement[bool]:
    """Ended before a time, and the load of no run that waits or is in work."""
    at_work = runs.c.status.in_(("pending", *ACTIVE))
    needed = exists().where(runs.c.load_id == loads.c.id, at_work)
    return and_(loads.c.state == "ended", loads.c.ended_at <= before, ~needed)
