"""Moves in the queue: a waiting run goes first, before another one, or to another priority.

The queue is in the order of `turn`, and of the id where two turns are equal. A number between two
turns is not always there: a float at today's time has steps of 0.24 microseconds. Then the runs
behind give way by a millisecond each, until there is room.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row, Select, func, literal, select, tuple_, update

from cosmos_pipelines.catalog.add_runs import STEP_S
from cosmos_pipelines.catalog.database import Transaction
from cosmos_pipelines.catalog.lifecycle import Lifecycle
from cosmos_pipelines.catalog.new_run import check_priority
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.tables import runs
from cosmos_pipelines.errors import InputError, StateError

APART_S: Final = 1.0
"""Seconds by which a run that is moved to the beginning is before what was first."""
ROOM_S: Final = 0.001
"""Seconds between two turns where one has given way to another."""
_WAITS: Final = (runs.c.status == "pending") & runs.c.queued_at.is_not(None)
_PLACE: Final = (runs.c.id, runs.c.turn, runs.c.priority, runs.c.load_id)


class Moves(Lifecycle):
    """The catalog's part for moves in the queue."""

    def move_run(
        self,
        run_id: str,
        *,
        first: bool = False,
        before: str | None = None,
        priority: int | None = None,
    ) -> Run:
        """Give a waiting run another place in the queue: one of `first`, `before` and `priority`.

        `first`: before all that waits now; a run that is ordered later with a higher priority may
        still come before it. `before`: just before that run, which waits too. `priority`: an hour
        earlier for each step up, and later for each step down.

        Raises:
            InputError: none or several of them; before itself; no priority (-100 to 100).
            UnknownId: no such run.
            StateError: the run, or the one that it shall be before, does not wait in the queue, or
                a dispatcher has taken it out already.
        """
        if (first, before is not None, priority is not None).count(True) != 1:
            raise InputError("Give one of first, before and priority.")
        run = self.get_run(run_id)
        other = None if before is None else self.get_run(before)
        if other is not None and other.id == run.id:
            raise InputError(f"Run {run.id} cannot be moved before itself.")
        with self.write() as tx:
            here = _place_of(tx, run)
            if priority is not None:
                priority = check_priority(priority)
                turn = here.turn + STEP_S * (here.priority - priority)
                self._place(tx, {run.id: {"turn": turn, "priority": priority}})
            elif other is None:
                self._place(tx, {run.id: {"turn": _before_all(tx, run.id)}})
            else:
                turns = _turns_before(tx, run.id, _place_of(tx, other))
                self._place(tx, {moved: {"turn": turn} for moved, turn in turns.items()})
        return self.get_run(run.id)

    def position_of(self, run: Run) -> int:
        """The place of a waiting run in the queue, from 1."""
        place, own = tuple_(runs.c.turn, runs.c.id), tuple_(literal(run.turn), literal(run.id))
        before = select(func.count().label("number")).select_from(runs)
        return 1 + int(self.rows(before.where(_WAITS, place < own))[0].number)

    @staticmethod
    def _place(tx: Transaction, rows: Mapping[str, Mapping[str, Any]]) -> None:
        for (run_id, values), revision in zip(rows.items(), tx.revisions(len(rows)), strict=True):
            stamp = {"updated_at": tx.now, "revision": revision}
            tx.connection.execute(update(runs).where(runs.c.id == run_id).values(**values, **stamp))


def _place_of(tx: Transaction, run: Run) -> Row[Any]:
    """The place of a waiting run. Raises StateError if it has none, or none any more."""
    now = (*_PLACE, runs.c.status, runs.c.queued_at, runs.c.leased_by, runs.c.leased_until)
    row = tx.connection.execute(select(*now).where(runs.c.id == run.id)).first()
    if row is None:
        raise StateError(f"Run {run.id} was deleted meanwhile.")
    if row.status != "pending":
        raise StateError(f"Run {run.id} is {row.status}: it does not wait in the queue.")
    if row.queued_at is None:
        hint = f"`cosmos run {run.id}` executes it."
        raise StateError(f"Run {run.id} was not put into the queue.", hint=hint)
    if row.load_id is not None or (row.leased_by is not None and row.leased_until > tx.now):
        raise StateError(f"Run {run.id} is about to start: it has left the queue already.")
    return row


def _queue(run_id: str) -> Select[Any]:
    """All that waits but this run."""
    return select(runs.c.id, runs.c.turn).where(_WAITS, runs.c.id != run_id)


def _before_all(tx: Transaction, run_id: str) -> float:
    least = tx.connection.execute(_queue(run_id).order_by(runs.c.turn).limit(1)).first()
    now = tx.now.timestamp()
    return min(now, now if least is None else least.turn) - APART_S


def _turns_before(tx: Transaction, run_id: str, target: Row[Any]) -> dict[str, float]:
    """The turns that put this run just before another: its own, and of those that must give way."""
    place, there = tuple_(runs.c.turn, runs.c.id), tuple_(target.turn, target.id)
    latest = _queue(run_id).where(place < there).order_by(runs.c.turn.desc(), runs.c.id.desc())
    earlier = tx.connection.execute(latest.limit(1)).first()
    if earlier is None:
        return {run_id: target.turn - APART_S}
    middle = (earlier.turn + target.turn) / 2
    if earlier.turn < middle < target.turn:
        return {run_id: middle}
    turns = {run_id: earlier.turn + ROOM_S}
    later = _queue(run_id).where(place >= there).order_by(runs.c.turn, runs.c.id)
    with tx.connection.execute(later.execution_options(yield_per=100)) as rows:
        for row in rows:
            least = turns[next(reversed(turns))] + ROOM_S
            if row.turn >= least:
                break
            turns[row.id] = least
    return turns
