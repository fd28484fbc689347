"""Who works on the queue without a daemon: a sign of life of each worker."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.records import Worker, utc_now
from cosmos_pipelines.catalog.tables import workers

SIGN_S: Final = 60.0
"""Seconds for which a sign of life counts."""


class Workers(Database):
    """The catalog's part for those who work on the queue."""

    def sign_on(self, owner: str, person: str, machine: str) -> None:
        """Give a sign of life of the worker `owner`; signs that count no more are removed."""
        with self.write() as tx:
            old = workers.c.seen_at <= tx.now - timedelta(seconds=SIGN_S)
            tx.connection.execute(workers.delete().where(old, workers.c.owner != owner))
            values = {"person": person, "machine": machine, "seen_at": tx.now}
            insert = self.insert(workers).values(owner=owner, began_at=tx.now, **values)
            tx.connection.execute(
                insert.on_conflict_do_update(index_elements=["owner"], set_=values)
            )

    def sign_off(self, owner: str) -> None:
        """Say that the worker `owner` takes no more loads."""
        with self.write() as tx:
            tx.connection.execute(workers.delete().where(workers.c.owner == owner))

    def list_workers(self, now: datetime | None = None) -> list[Worker]:
        """Return the workers whose last sign of life still counts, the first one first."""
        counts = workers.c.seen_at > (now or utc_now()) - timedelta(seconds=SIGN_S)
        found = self.rows(select(workers).where(counts).order_by(workers.c.began_at))
        return [Worker(**row._mapping) for row in found]
