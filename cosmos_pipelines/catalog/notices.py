"""What people are told of, each thing once, whichever process has seen it first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, update

from cosmos_pipelines.catalog.database import AT_ONCE, Database
from cosmos_pipelines.catalog.tables import notices, revisions, runs

KEPT: Final = timedelta(days=90)
"""How long it is remembered what was told."""
LONGEST: Final = timedelta(days=2)
"""What waits longer than this is no news."""


@dataclass(frozen=True)
class Notice:
    """Something that happened. `kind` is one of `Event` in the settings."""

    key: str
    """What it is about: the same key is told once."""
    kind: str
    said: str
    happened_at: datetime


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    run_id: str
    status: str
    queued: bool
    """Whether it was in the queue."""
    completed_at: datetime
    attempt: int
    model_type: str
    backend: str
    kind: str | None
    message: str | None


_OF_ENDED: Final = (
    runs.c.id,
    runs.c.status,
    runs.c.queued_at.is_not(None),
    runs.c.completed_at,
    runs.c.attempt,
    runs.c.model_type,
    runs.c.backend,
    runs.c.error_kind,
    runs.c.error_message,
)


class Notices(Database):
    """The catalog's part for what people are told.

    A notice may be `open`: it goes on, and what has the same key is the same, until it is closed.
    """

    def add_notices(self, found: Iterable[Notice]) -> None:
        """Remember these, to be told, unless their keys are known."""
        rows = [
            {"key": n.key, "kind": n.kind, "said": n.said, "happened_at": n.happened_at}
            for n in found
        ]
        if not rows:
            return
        with self.write() as tx:
            for row in rows:
                new = self.insert(notices).values(**row, open=0, state="waits")
                tx.connection.execute(new.on_conflict_do_nothing(index_elements=["key"]))

    def open_notice(self, key: str, kind: str, said: str, *, told: bool = True) -> bool:
        """Remember that something has begun; False: it had begun already.

        `told`: it is to be told.
        """
        with self.write() as tx:
            values = {
                "kind": kind, "said": said, "open": 1, "sent_at": None,
                "state": "waits" if told else "untold", "happened_at": tx.now,
            }  # fmt: skip
            new = self.insert(notices).values(key=key, **values)
            again = new.on_conflict_do_update(
                index_elements=["key"], set_=values, where=notices.c.open == 0
            )
            return tx.connection.execute(again).rowcount == 1

    def close_notice(self, key: str, said: str | None = None) -> bool:
        """Remember that something has ended; False: it had ended already, or never begun.

        `said`: what is told of its end; None: nothing.
        """
        with self.write() as tx:
            values: dict[str, object] = {"open": 0}
            if said is not None:
                values |= {"said": said, "state": "waits", "happened_at": tx.now, "sent_at": None}
            ended = update(notices).where(notices.c.key == key, notices.c.open == 1)
            return tx.connection.execute(ended.values(values)).rowcount == 1

    def open_notices(self, kind: str) -> dict[str, datetime]:
        """Return what goes on of this kind: keys, and since when."""
        asked = select(notices.c.key, notices.c.happened_at)
        found = self.rows(asked.where(notices.c.kind == kind, notices.c.open == 1))
        return {row.key: row.happened_at for row in found}

    def take_notices(self, *, every: timedelta, gathered: timedelta) -> list[Notice]:
        """Return all that is to be told now, oldest first; from then on it counts as told.

        Nothing, until `every` has passed since something was told last, and `gathered` since the
        oldest of them happened: what belongs together is told together. Of several processes one
        gets them.
        """
        waits = notices.c.state == "waits"
        if not self.rows(select(notices.c.key).where(waits).limit(1)):
            return []
        with self.write() as tx:
            last = tx.connection.execute(
                select(func.max(notices.c.sent_at)).where(notices.c.state == "sent")
            ).scalar()
            columns = notices.c.key, notices.c.kind, notices.c.said, notices.c.happened_at
            found = tx.connection.execute(
                select(*columns).where(waits).order_by(notices.c.happened_at, notices.c.key)
            ).all()
            if not found or found[0].happened_at > tx.now - gathered:
                return []
            if last is not None and last > tx.now - every:
                return []
            tx.connection.execute(update(notices).where(waits).values(state="sent", sent_at=tx.now))
            old = (notices.c.open == 0) & (notices.c.happened_at < tx.now - KEPT)
            tx.connection.execute(delete(notices).where(old))
            fresh = tx.now - LONGEST
        return [Notice(**row._mapping) for row in found if row.happened_at > fresh]

    def give_back_notices(self, taken: Iterable[Notice]) -> None:
        """Say that none of these could be told: they are told the next time."""
        keys = [notice.key for notice in taken]
        with self.write() as tx:
            for start in range(0, len(keys), AT_ONCE):
                some = notices.c.key.in_(keys[start : start + AT_ONCE])
                again = update(notices).where(some, notices.c.state == "sent")
                tx.connection.execute(again.values(state="waits", sent_at=None))

    def last_told(self) -> datetime | None:
        """Return when something was told last."""
        asked = select(func.max(notices.c.sent_at).label("at")).where(notices.c.state == "sent")
        last: datetime | None = self.rows(asked)[0].at
        return last

    def count_untold(self) -> int:
        """Return the number of notices that wait to be told."""
        asked = select(func.count().label("number")).where(notices.c.state == "waits")
        return int(self.rows(asked)[0].number)

    def ended_after(self, revision: int, limit: int) -> tuple[list[Ended], int]:
        """Return at most `limit` ended runs that changed after a revision, and the next revision.

        The revisions are those of `newest_revision`; see `changes_since`.
        """
        with self.read() as connection:
            newest = int(connection.execute(select(revisions.c.value)).scalar_one())
            after = revision if revision <= newest else newest
            statement = (
                select(*_OF_ENDED, runs.c.revision)
                .where(runs.c.revision > after, runs.c.revision <= newest)
                .where(runs.c.status.in_(("completed", "failed", "cancelled")))
                .order_by(runs.c.revision)
                .limit(limit)
            )
            rows = connection.execute(statement).all()
        if len(rows) == limit:
            newest = rows[-1].revision
        return [Ended(*row[:-1]) for row in rows], newest

    def ended_since(self, moment: datetime) -> dict[str, int]:
        """Return the number of runs that ended since then, by status."""
        number = func.count().label("number")
        asked = select(runs.c.status, number).where(runs.c.completed_at >= moment)
        return {row.status: row.number for row in self.rows(asked.group_by(runs.c.status))}

    def count_unfinished(self) -> int:
        """Return the number of runs of the queue that wait or are executed."""
        unfinished = runs.c.status.in_(("pending", "uploading", "running", "downloading"))
        asked = select(func.count().label("number")).select_from(runs)
        return int(self.rows(asked.where(unfinished, runs.c.queued_at.is_not(None)))[0].number)
