"""A run's life: who may change its status, from what to what.

    pending -> uploading -> running -> downloading -> completed
       |           |           |            |
       +-----------+-----------+------------+------> failed | cancelled -> uploading (again)

Every change is one UPDATE guarded by the status and the lease that it starts from: two processes
can race, one wins and is told how the run is now, and the other is told None.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Update, case, or_, select, update

from cosmos_pipelines.catalog.records import ACTIVE, Run, Status, utc_now
from cosmos_pipelines.catalog.runs import COLUMNS, LEASE_S, Runs, run_of
from cosmos_pipelines.catalog.tables import runs
from cosmos_pipelines.errors import StateError

NEXT: Final[dict[Status, frozenset[Status]]] = {
    "pending": frozenset({"failed", "cancelled"}),
    "uploading": frozenset({"uploading", "running", "failed", "cancelled"}),
    "running": frozenset({"running", "downloading", "failed", "cancelled"}),
    "downloading": frozenset({"downloading", "completed", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
"""What `advance` may do; into `uploading` from outside leads only `claim`."""

ENDED_STATUSES: Final[frozenset[Status]] = frozenset({"completed", "failed", "cancelled"})

FIELDS: Final = frozenset(
    {
        "outputs",
        "error_kind",
        "error_message",
        "exit_code",
        "log_path",
        "batch_id",
        "dagster_run_id",
        "container_id",
        "container_name",
        "host",
        "image_digest",
        "progress",
    }
)
"""What the owner of a run may record on the way."""

_UNLEASED: Final = {"leased_by": None, "leased_until": None}


class Lifecycle(Runs):
    """The catalog's part for the status and the lease of runs."""

    def claim(
        self,
        run_id: str,
        owner: str,
        *,
        lease_s: float = LEASE_S,
        dagster_run_id: str | None = None,
        now: datetime | None = None,
    ) -> Run | None:
        """Take a pending, failed or cancelled run into work: it becomes `uploading`.

        A failed or cancelled one begins its next attempt, with what the last one left cleared.
        None: there is no such run, it is in another status, or another process holds it.
        """
        now = now or utc_now()
        again = runs.c.status != "pending"
        cleared = dict.fromkeys(FIELDS - {"outputs", "log_path"} | {"started_at", "completed_at"})
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status.in_(("pending", "failed", "cancelled")))
            .where(_lease_free(owner, now))
            .values(
                status="uploading",
                attempt=case((again, runs.c.attempt + 1), else_=runs.c.attempt),
                outputs={},
                **{**cleared, "dagster_run_id": dagster_run_id},
                **_lease(owner, now, lease_s),
            )
        )
        return self._changed(statement)

    def adopt(
        self, run_id: str, owner: str, lease_s: float = LEASE_S, *, now: datetime | None = None
    ) -> Run | None:
        """Take over a run in work whose owner's lease is free or has ended (or is our own)."""
        now = now or utc_now()
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status.in_(ACTIVE), _lease_free(owner, now))
            .values(**_lease(owner, now, lease_s))
        )
        return self._changed(statement)

    def renew(
        self,
        run_ids: Iterable[str],
        owner: str,
        lease_s: float = LEASE_S,
        *,
        now: datetime | None = None,
    ) -> int:
        """Keep the leases that `owner` has on `run_ids`; returns how many it still had.

        A heartbeat is no news: it does not count as a change of the run.
        """
        statement = (
            update(runs)
            .where(runs.c.id.in_(list(run_ids)), runs.c.leased_by == owner)
            .values(**_lease(owner, now or utc_now(), lease_s))
        )
        with self.write() as tx:
            return tx.connection.execute(statement).rowcount

    def release(self, run_id: str, owner: str) -> bool:
        """Give up the lease that `owner` has on a run, whatever its status."""
        mine = (runs.c.id == run_id) & (runs.c.leased_by == owner)
        return self._changed(update(runs).where(mine).values(**_UNLEASED)) is not None

    def release_all(self, run_ids: Iterable[str], owner: str) -> None:
        """Give up the leases that `owner` still has on these runs; those that ended have none."""
        mine = select(runs.c.id).where(runs.c.leased_by == owner)
        for row in self.rows_with(mine, runs.c.id, run_ids):
            self.release(row.id, owner)

    def advance(
        self,
        run_id: str,
        owner: str,
        expected_status: Status,
        new_status: Status,
        *,
        now: datetime | None = None,
        **fields: Any,
    ) -> Run | None:
        """Move a run that `owner` holds from `expected_status` to `new_status`.

        `fields`: any of FIELDS. An active run may keep its status, to record fields only. Becoming
        `running` sets `started_at`; an end sets `completed_at` and frees the lease. A pending run
        that nobody holds may be failed or cancelled by anyone. None: it was not so any more.

        Raises:
            StateError: no run may go that way, or it ends without what belongs to its end.
            TypeError: an unknown field.
        """
        if unknown := fields.keys() - FIELDS:
            raise TypeError(f"advance() got unknown fields: {', '.join(sorted(unknown))}")
        _check(run_id, expected_status, new_status, fields)
        now = now or utc_now()
        mine = runs.c.leased_by == owner
        if expected_status == "pending":
            mine = _lease_free(owner, now)
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status == expected_status, mine)
            .values(status=new_status, **fields, **_times(expected_status, new_status, now))
        )
        return self._changed(statement)

    def cancel_pending(self, run_id: str, *, now: datetime | None = None) -> Run | None:
        """Cancel a run that waits and that no process is about to start."""
        return self.advance(
            run_id,
            "",
            "pending",
            "cancelled",
            now=now,
            error_kind="cancelled",
            error_message="Cancelled before it started.",
        )

    def queued_runs(self, limit: int | None = 50, *, now: datetime | None = None) -> list[Run]:
        """Pending runs that wait for the dispatcher, in the order in which they shall start."""
        free = or_(runs.c.leased_by.is_(None), runs.c.leased_until <= (now or utc_now()))
        statement = (
            select(*COLUMNS)
            .where(runs.c.status == "pending", runs.c.queued_at.is_not(None), free)
            .order_by(runs.c.priority.desc(), runs.c.queued_at, runs.c.id)
        )
        return self._runs(statement.limit(limit))

    def active_runs(self) -> list[Run]:
        """Runs in work (also those whose owner has died), oldest first."""
        statement = select(*COLUMNS).where(runs.c.status.in_(ACTIVE))
        return self._runs(statement.order_by(runs.c.created_at, runs.c.id))

    def _changed(self, statement: Update) -> Run | None:
        """The run as this UPDATE of one left it; None if it met none."""
        with self.write() as tx:
            stamped = statement.values(**tx.stamp()).returning(*COLUMNS)
            row = tx.connection.execute(stamped).first()
        return None if row is None else run_of(row)


def _lease(owner: str, now: datetime, lease_s: float) -> dict[str, Any]:
    return {"leased_by": owner, "leased_until": now + timedelta(seconds=lease_s)}


def _lease_free(owner: str, now: datetime) -> ColumnElement[bool]:
    return or_(runs.c.leased_by.is_(None), runs.c.leased_by == owner, runs.c.leased_until <= now)


def _times(old: Status, new: Status, now: datetime) -> dict[str, Any]:
    if new in ENDED_STATUSES:
        return {"completed_at": now, **_UNLEASED}
    return {"started_at": now} if new == "running" and old != "running" else {}


def _check(run_id: str, old: Status, new: Status, fields: dict[str, Any]) -> None:
    if new not in NEXT.get(old, ()):
        raise StateError(f"Run {run_id} cannot become {new} from {old}.")
    if new == "completed" and not fields.get("outputs"):
        raise StateError(f"Run {run_id} cannot be completed without outputs.")
    if new == "failed" and not fields.get("error_kind"):
        raise StateError(f"Run {run_id} cannot fail without an error kind.")
