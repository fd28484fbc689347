"""Pauses of the queue: as a whole, of a place, of an engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import select

from cosmos_pipelines.catalog.database import Database, Transaction
from cosmos_pipelines.catalog.records import Pause
from cosmos_pipelines.catalog.tables import pauses

ALL: Final = "all"
"""The scope of a pause of the whole queue."""


def place_scope(place: str) -> str:
    """The scope of a pause of one place."""
    return f"host:{place}"


def engine_scope(engine: str) -> str:
    """The scope of a pause of one engine."""
    return f"engine:{engine}"


class Pauses(Database):
    """The catalog's part for pauses of the queue."""

    def pause(self, scope: str, by: str, reason: str | None = None) -> Pause:
        """Start nothing more of a part of the queue; a pause that there is keeps its reason."""
        with self.write() as tx:
            values = {"scope": scope, "paused_at": tx.now, "paused_by": by, "reason": reason}
            insert = self.insert(pauses).values(values).on_conflict_do_nothing()
            tx.connection.execute(insert)
            row = tx.connection.execute(select(pauses).where(pauses.c.scope == scope)).one()
            return Pause(**row._mapping)

    def resume(self, scope: str) -> bool:
        """Start runs of a part of the queue again; False: it was not paused."""
        with self.write() as tx:
            gone = pauses.delete().where(pauses.c.scope == scope)
            return tx.connection.execute(gone).rowcount == 1

    def is_paused(self, place: str, engine: str) -> bool:
        """Whether the queue, or its part of this place or engine, is paused."""
        scopes = (ALL, place_scope(place), engine_scope(engine))
        return bool(self.rows(select(pauses.c.scope).where(pauses.c.scope.in_(scopes)).limit(1)))

    def list_pauses(self) -> list[Pause]:
        """Return what is paused, by scope."""
        rows = self.rows(select(pauses).order_by(pauses.c.scope))
        return [Pause(**row._mapping) for row in rows]


def paused_in(tx: Transaction, scopes: Iterable[str]) -> bool:
    """Whether one of these scopes is paused, as a transaction sees it."""
    found = select(pauses.c.scope).where(pauses.c.scope.in_(list(scopes)))
    return tx.connection.execute(found).first() is not None
