"""Waiting runs whose parent has ended without a result: nothing is left to make them of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, or_, select, update

from cosmos_pipelines.catalog.database import Database, Transaction
from cosmos_pipelines.catalog.records import Run, utc_now
from cosmos_pipelines.catalog.runs import COLUMNS, run_of
from cosmos_pipelines.catalog.tables import runs

WITHOUT_RESULT: Final = ("failed", "cancelled")
QUEUED: Final = (runs.c.status == "pending") & runs.c.queued_at.is_not(None)
PARENT: Final = runs.alias("parent")
_SAID: Final = {"failed": "has failed", "cancelled": "was cancelled"}


def lease_over(now: datetime) -> ColumnElement[bool]:
    """Whether no process holds a run."""
    return or_(runs.c.leased_by.is_(None), runs.c.leased_until <= now)


class Dependents(Database):
    """The catalog's part for what waits for a parent."""

    def end_dependents(self, spared: Callable[[Run], bool] = lambda _: False) -> list[Run]:
        """Fail the waiting runs whose parent ended without a result; return them.

        `spared` is asked for each such parent: where it says yes, what waits for it waits on.
        """
        if not any(not spared(parent) for _, parent in _pairs(self.rows(_waiting_in_vain()))):
            return []
        with self.write() as tx:  # a parent may have been begun again since
            found = _pairs(tx.connection.execute(_waiting_in_vain()).all())
            return [_fail(tx, child, parent) for child, parent in found if not spared(parent)]


def _waiting_in_vain() -> Select[Any]:
    return (
        select(runs.c.id.label("child"), *(PARENT.c[column.name] for column in COLUMNS))
        .join(PARENT, PARENT.c.id == runs.c.parent_run_id)
        .where(QUEUED, lease_over(utc_now()), PARENT.c.status.in_(WITHOUT_RESULT))
    )


def _pairs(rows: Any) -> list[tuple[str, Run]]:
    """The id of each child, with its parent."""
    fields = [dict(row._mapping) for row in rows]
    return [(one.pop("child"), Run(**one)) for one in fields]


def _fail(tx: Transaction, child: str, parent: Run) -> Run:
    what = f"Run {parent.id}, which makes what this run is made of, {_SAID[parent.status]}."
    values = {
        "status": "failed",
        "completed_at": tx.now,
        "leased_by": None,
        "leased_until": None,
        "error_kind": "parent_failed",
        "error_message": f"{what} `cosmos run {parent.id} {child}` executes both.",
        **tx.stamp(),
    }
    change = update(runs).where(runs.c.id == child).values(values).returning(*COLUMNS)
    return run_of(tx.connection.execute(change).one())
