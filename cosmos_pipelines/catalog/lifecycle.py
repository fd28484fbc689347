"""The life of a run: which change of its status is allowed, and to which process.

    pending -> uploading -> running -> downloading -> completed
       |           |           |            |
       +-----------+-----------+------------+------> failed | cancelled -> uploading (again)

Every change is one UPDATE guarded by the old status and the lease. If two processes race, one gets
the changed run, and the other gets None.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Update, bindparam, case, or_, select, update

from cosmos_pipelines.catalog.database import AT_ONCE
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
"""The changes that `advance` may make; only `claim` leads into `uploading`."""

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
"""The columns that the owner of a run may set."""

_CANCELLED: Final = "The run was cancelled before it started."
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
        load: str | None = None,
        now: datetime | None = None,
    ) -> Run | None:
        """Make a pending, failed or cancelled run active: its status becomes `uploading`.

        A failed or cancelled run begins its next attempt; the columns of the last attempt are
        cleared. `load`: only a run of this load that was not cancelled; otherwise a run leaves the
        load that it is in. None: no such run, another status, or another process holds its lease.
        """
        now = now or utc_now()
        again = runs.c.status != "pending"
        if_in = () if load is None else (runs.c.load_id == load, runs.c.status != "cancelled")
        cleared = dict.fromkeys(FIELDS - {"outputs", "log_path"} | {"started_at", "completed_at"})
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status.in_(("pending", "failed", "cancelled")))
            .where(_lease_free(owner, now), *if_in)
            .values(
                status="uploading",
                load_id=load,
                attempt=case((again, runs.c.attempt + 1), else_=runs.c.attempt),
                outputs={},
                **{**cleared, "dagster_run_id": dagster_run_id},
                **_lease(owner, now, lease_s),
            )
        )
        return self._changed(statement)

    def adopt(
        self,
        run_id: str,
        owner: str,
        lease_s: float = LEASE_S,
        *,
        now: datetime | None = None,
        seen: str | None = None,
    ) -> Run | None:
        """Take over an active run whose lease is free, has ended, or belongs to `owner`.

        `seen`: the process that held the lease when the caller looked. A lease of yet another
        process is not taken, however the clocks of the two go.
        """
        now = now or utc_now()
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status.in_(ACTIVE), _lease_free(owner, now))
            .values(**_lease(owner, now, lease_s))
        )
        if seen is not None:
            held = runs.c.leased_by
            statement = statement.where(or_(held.is_(None), held.in_((owner, seen))))
        return self._changed(statement)

    def renew(
        self,
        run_ids: Iterable[str],
        owner: str,
        lease_s: float = LEASE_S,
        *,
        now: datetime | None = None,
    ) -> int:
        """Renew the leases of `owner` on `run_ids`; return the number of renewed leases.

        A renewed lease does not count as a change of the run.
        """
        statement = (
            update(runs)
            .where(runs.c.id.in_(list(run_ids)), runs.c.leased_by == owner)
            .values(**_lease(owner, now or utc_now(), lease_s))
        )
        with self.write() as tx:
            return tx.connection.execute(statement).rowcount

    def release(self, run_id: str, owner: str) -> bool:
        """Give up the lease of `owner` on a run, in every status."""
        own = (runs.c.id == run_id) & (runs.c.leased_by == owner)
        return self._changed(update(runs).where(own).values(**_UNLEASED)) is not None

    def release_all(self, run_ids: Iterable[str], owner: str) -> None:
        """Give up the leases that `owner` still has on these runs; ended runs have no lease."""
        own = select(runs.c.id).where(runs.c.leased_by == owner)
        for row in self.rows_with(own, runs.c.id, run_ids):
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
        """Change the status of a run that `owner` holds from `expected_status` to `new_status`.

        `fields`: any of FIELDS. An active run may keep its status, to record fields only. `running`
        sets `started_at`; an end sets `completed_at` and frees the lease. A pending run without an
        owner may be failed or cancelled by every process. None: status or lease have changed.

        Raises:
            StateError: the change is not allowed, or a field that belongs to the end is missing.
            TypeError: an unknown field.
        """
        if unknown := fields.keys() - FIELDS:
            raise TypeError(f"advance() got unknown fields: {', '.join(sorted(unknown))}")
        _check(run_id, expected_status, new_status, fields)
        now = now or utc_now()
        allowed = runs.c.leased_by == owner
        if expected_status == "pending":
            allowed = _lease_free(owner, now)
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status == expected_status, allowed)
            .values(status=new_status, **fields, **_times(expected_status, new_status, now))
        )
        return self._changed(statement)

    def cancel_pending(self, run_id: str, *, now: datetime | None = None) -> Run | None:
        """Cancel a pending run that no process is about to start."""
        return self.advance(
            run_id,
            "",
            "pending",
            "cancelled",
            now=now,
            error_kind="cancelled",
            error_message=_CANCELLED,
        )

    def cancel_unstarted(self, run_id: str, *, now: datetime | None = None) -> Run | None:
        """Cancel a run whose order waits for its start, whoever holds it; None: it is not so.

        Its process looks at the run before the start, and then starts nothing.
        """
        now = now or utc_now()
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status == "uploading")
            .values(
                status="cancelled",
                error_kind="cancelled",
                error_message=_CANCELLED,
                **_times("uploading", "cancelled", now),
            )
        )
        return self._changed(statement)

    def cancel_queued(self, run_ids: Iterable[str]) -> set[str]:
        """Cancel those of these runs that wait and that no process is about to start: their ids."""
        cancelled: set[str] = set()
        wanted = list(dict.fromkeys(run_ids))
        for start in range(0, len(wanted), AT_ONCE):
            with self.write() as tx:
                waits = (runs.c.status == "pending", _lease_free("", tx.now))
                some = runs.c.id.in_(wanted[start : start + AT_ONCE])
                found = tx.connection.execute(select(runs.c.id).where(some, *waits)).scalars().all()
                if not found:
                    continue
                change = update(runs).where(runs.c.id == bindparam("of"), *waits)
                values = {
                    "status": "cancelled",
                    "error_kind": "cancelled",
                    "error_message": _CANCELLED,
                    "updated_at": tx.now,
                    "revision": bindparam("new_revision"),
                    **_times("pending", "cancelled", tx.now),
                }
                numbers = zip(found, tx.revisions(len(found)), strict=True)
                rows = [{"of": run_id, "new_revision": number} for run_id, number in numbers]
                tx.connection.execute(change.values(values), rows)
                cancelled |= set(found)
        return cancelled

    def queued_runs(
        self, limit: int | None = 50, *, now: datetime | None = None, offset: int = 0
    ) -> list[Run]:
        """Return the pending runs that wait for the dispatcher, in the order of their start."""
        free = or_(runs.c.leased_by.is_(None), runs.c.leased_until <= (now or utc_now()))
        statement = (
            select(*COLUMNS)
            .where(runs.c.status == "pending", runs.c.queued_at.is_not(None), free)
            .order_by(runs.c.turn, runs.c.id)
        )
        return self._runs(statement.limit(limit).offset(offset))

    def active_runs(self) -> list[Run]:
        """Return the active runs (also those whose owner has died), oldest first."""
        statement = select(*COLUMNS).where(runs.c.status.in_(ACTIVE))
        return self._runs(statement.order_by(runs.c.created_at, runs.c.id))

    def unreachable_runs(
        self, backends: Iterable[str], ended_since: datetime, entered_since: datetime
    ) -> list[Run]:
        """Return the runs at these backends that have failed as `unreachable`, oldest first."""
        statement = select(*COLUMNS).where(
            runs.c.status == "failed",
            runs.c.created_at >= entered_since,
            runs.c.error_kind == "unreachable",
            runs.c.completed_at >= ended_since,
            runs.c.backend.in_(list(backends)),
        )
        return self._runs(statement.order_by(runs.c.created_at, runs.c.id))

    def _changed(self, statement: Update) -> Run | None:
        """Return the run after this UPDATE of one row; None if no row matched."""
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
