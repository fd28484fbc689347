"""The queue: which runs wait, in which order, and how dispatchers take them out in loads.

    queued, free --claim_load--> in a load --(process begins, Lifecycle.claim)--> uploading
         ^                           |                                              |
         +---- end_load, lease over -+                +------ give_back ------------+

A load belongs to the dispatcher that claimed it for as long as that renews it. Then its runs that
no process has begun wait again. Every change is guarded, so any number of dispatchers may work at
the same time; on PostgreSQL they pass over rows that another one is about to take.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, or_, select, update

from cosmos_pipelines import ids
from cosmos_pipelines.catalog.add_runs import turn_of
from cosmos_pipelines.catalog.database import AT_ONCE, Transaction
from cosmos_pipelines.catalog.dependents import PARENT, QUEUED, Dependents, lease_over
from cosmos_pipelines.catalog.loads import LOAD_COLUMNS, Loads, load_of
from cosmos_pipelines.catalog.moves import Moves
from cosmos_pipelines.catalog.new_run import AUTO
from cosmos_pipelines.catalog.pauses import ALL, Pauses, engine_scope, paused_in, place_scope
from cosmos_pipelines.catalog.records import Load, Run, utc_now
from cosmos_pipelines.catalog.runs import COLUMNS, run_of
from cosmos_pipelines.catalog.tables import loads, pauses, prompts, runs

CLAIM_S: Final = 60.0
"""Seconds after which a claim that is not renewed ends."""


@dataclass(frozen=True)
class NewLoad:
    """What a dispatcher wants to take out of the queue together."""

    place: str
    engine: str
    model_type: str
    run_ids: tuple[str, ...]
    gpus: int = 1
    mode: str = "strict"
    plan: Mapping[str, Any] = field(default_factory=dict)


class Queue(Dependents, Moves, Loads, Pauses):
    """The catalog's part for the queue."""

    def ready_runs(
        self,
        limit: int | None = None,
        *,
        places: Collection[str] | None = None,
        without: Collection[str] = (),
        without_engines: Collection[str] = (),
        now: datetime | None = None,
    ) -> list[Run]:
        """Return the runs that a dispatcher may take now, in the order of their start.

        They are queued, in no load and leased by nobody, what they are made of is completed, and
        neither the queue nor their engine is paused; nor is their place, unless any will do.
        `places`: only runs that may be executed in one of these. `without`: ids of runs to leave
        out; `without_engines`: engines whose runs for any place are left out.
        """
        now = now or utc_now()
        with self.read() as connection:
            paused = set(connection.execute(select(pauses.c.scope)).scalars())
            if ALL in paused:
                return []
            statement = _ready(now).limit(limit)
            if places is not None:
                here = runs.c.backend.in_(sorted(places))
                statement = statement.where(or_(here, runs.c.any_place == 1))
            if without:
                statement = statement.where(runs.c.id.not_in(sorted(without)))
            if without_engines:
                bound, other = runs.c.any_place == 0, runs.c.engine.not_in(sorted(without_engines))
                statement = statement.where(or_(bound, other))
            for scope in sorted(paused):
                statement = statement.where(_outside(scope))
            return [run_of(row) for row in connection.execute(statement)]

    def claim_load(
        self, wanted: NewLoad, owner: str, lease_s: float = CLAIM_S, *, dagster: str | None = None
    ) -> Load | None:
        """Take those of the wanted runs that are still free out of the queue, as one load.

        None: none of them is free, or the queue, the place or the engine is paused. `dagster`: the
        id of the Dagster run that will execute the load, if it is known.
        """
        with self.write() as tx:
            self._drop_dead(tx)
            scopes = (ALL, place_scope(wanted.place), engine_scope(wanted.engine))
            if paused_in(tx, scopes):
                return None
            free = _ready(tx.now).with_only_columns(runs.c.id)
            free = free.where(
                runs.c.engine == wanted.engine,
                runs.c.model_type == wanted.model_type,
                or_(runs.c.backend == wanted.place, runs.c.any_place == 1),
            ).with_for_update(skip_locked=True, of=runs)
            there: set[str] = set()
            for start in range(0, len(wanted.run_ids), AT_ONCE):
                some = runs.c.id.in_(wanted.run_ids[start : start + AT_ONCE])
                there |= set(tx.connection.execute(free.where(some)).scalars())
            mine = [run_id for run_id in dict.fromkeys(wanted.run_ids) if run_id in there]
            if not mine:
                return None
            load_id = ids.new_load_id()
            self._stamp_each(tx, mine, {"load_id": load_id, "backend": wanted.place})
            values = {
                "id": load_id,
                "state": "claimed",
                "place": wanted.place,
                "engine": wanted.engine,
                "model_type": wanted.model_type,
                "gpus": wanted.gpus,
                "mode": wanted.mode,
                "run_ids": mine,
                "plan": dict(wanted.plan),
                "claimed_by": owner,
                "claimed_until": tx.now + timedelta(seconds=lease_s),
                "dagster_run_id": dagster,
                "created_at": tx.now,
            }
            row = tx.connection.execute(self.insert(loads).values(values).returning(*LOAD_COLUMNS))
            return load_of(row.one())

    def renew_loads(
        self, load_ids: Iterable[str], owner: str, lease_s: float = CLAIM_S
    ) -> set[str]:
        """Renew the claims of `owner` on loads; return those that it still has."""
        wanted = list(load_ids)
        with self.write() as tx:
            own = (loads.c.id.in_(wanted), loads.c.claimed_by == owner, loads.c.state != "ended")
            change = update(loads).where(*own)
            until = tx.now + timedelta(seconds=lease_s)
            renewed = change.values(claimed_until=until).returning(loads.c.id)
            return set(tx.connection.execute(renewed).scalars())

    def hand_over_load(
        self, load_id: str, owner: str, dagster_run_id: str | None = None, lease_s: float = CLAIM_S
    ) -> Load | None:
        """Give a load to the process that executes it; None: the load has ended meanwhile."""
        with self.write() as tx:
            there = (loads.c.id == load_id, loads.c.state != "ended")
            until = tx.now + timedelta(seconds=lease_s)
            change = (
                update(loads)
                .where(*there)
                .values(claimed_by=owner, claimed_until=until, dagster_run_id=dagster_run_id)
            )
            row = tx.connection.execute(change.returning(*LOAD_COLUMNS)).first()
            return None if row is None else load_of(row)

    def start_load(self, load_id: str, owner: str) -> bool:
        """Say that an order of a load is now given to its place.

        False: it must not be, as the load is not `owner`'s any more, or the queue, the place or the
        engine is paused.
        """
        with self.write() as tx:
            mine = (loads.c.id == load_id, loads.c.claimed_by == owner, loads.c.state != "ended")
            load = tx.connection.execute(select(*LOAD_COLUMNS).where(*mine)).first()
            if load is None:
                return False
            if paused_in(tx, (ALL, place_scope(load.place), engine_scope(load.engine))):
                return False
            started = case((loads.c.started_at.is_(None), tx.now), else_=loads.c.started_at)
            change = update(loads).where(*mine).values(state="started", started_at=started)
            return tx.connection.execute(change).rowcount == 1

    def end_load(self, load_id: str, said: str | None = None) -> None:
        """Say that a load has ended; those of its runs that no process has begun wait again."""
        with self.write() as tx:
            self._end(tx, [load_id], said)

    def withdraw_load(self, load_id: str) -> None:
        """End a load whose order was not started; its process gives back what it has of it."""
        with self.write() as tx:
            here = select(loads.c.id).where(loads.c.id == load_id, loads.c.state == "claimed")
            if tx.connection.execute(here).first() is not None:
                self._end(tx, [load_id], None)

    def end_dead_loads(self) -> list[str]:
        """End the loads whose claims are over; return their ids. Writes only if there are any."""
        over = (loads.c.state != "ended", loads.c.claimed_until <= utc_now())
        if not self.rows(select(loads.c.id).where(*over).limit(1)):
            return []
        with self.write() as tx:
            return self._drop_dead(tx)

    def runs_of_loads(self, load_ids: Iterable[str]) -> list[Run]:
        """Return the runs that were taken out of the queue last in one of these loads."""
        return [run_of(row) for row in self.rows_with(select(*COLUMNS), runs.c.load_id, load_ids)]

    def waiting_backends(self) -> list[str]:
        """Return the places that waiting runs are ordered for, by name, without `auto`."""
        named = select(runs.c.backend).where(QUEUED, runs.c.any_place == 0).distinct()
        return sorted(row.backend for row in self.rows(named))

    def places_of_scenes(self, scenes: Iterable[str]) -> dict[str, set[str]]:
        """Return the places where runs of these scenes were started, by the key of the scene."""
        statement = select(prompts.c.scene, runs.c.backend).join(
            runs, runs.c.prompt_id == prompts.c.id
        )
        statement = statement.where(runs.c.started_at.is_not(None)).distinct()
        found: dict[str, set[str]] = {}
        for row in self.rows_with(statement, prompts.c.scene, scenes):
            found.setdefault(row.scene, set()).add(row.backend)
        return found

    def give_back(self, run_id: str, owner: str) -> Run | None:
        """Put a run into the queue again of which `owner` has begun nothing yet.

        None: its status or its lease has changed, or it never was in the queue.
        """
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.leased_by == owner, runs.c.queued_at.is_not(None))
            .where(runs.c.status == "uploading", runs.c.turn.is_not(None))
            .values(
                status="pending",
                leased_by=None,
                leased_until=None,
                load_id=None,
                batch_id=None,
                dagster_run_id=None,
                progress=None,
                backend=case((runs.c.any_place == 1, AUTO), else_=runs.c.backend),
            )
        )
        return self._changed(statement)

    def queue_pending(self, run_ids: Iterable[str]) -> list[str]:
        """Put those of these runs into the queue that were only registered; return their ids."""
        wanted = list(dict.fromkeys(run_ids))
        queued: list[str] = []
        with self.write() as tx:
            for start in range(0, len(wanted), AT_ONCE):
                some = runs.c.id.in_(wanted[start : start + AT_ONCE])
                there = (runs.c.status == "pending", runs.c.queued_at.is_(None))
                found = select(runs.c.id, runs.c.priority).where(some, *there, lease_over(tx.now))
                for row in tx.connection.execute(found.order_by(runs.c.created_at, runs.c.id)):
                    turn = turn_of(tx.now, len(queued), row.priority)
                    self._stamp_each(tx, [row.id], {"queued_at": tx.now, "turn": turn})
                    queued.append(row.id)
        return queued

    def _drop_dead(self, tx: Transaction) -> list[str]:
        dead = (loads.c.state != "ended", loads.c.claimed_until <= tx.now)
        found = list(tx.connection.execute(select(loads.c.id).where(*dead)).scalars())
        if found:
            self._end(tx, found, "Its dispatcher gave no sign of life.")
        return found

    def _end(self, tx: Transaction, load_ids: list[str], said: str | None) -> None:
        change = update(loads).where(loads.c.id.in_(load_ids), loads.c.state != "ended")
        values = {"state": "ended", "ended_at": tx.now, "said": said}
        tx.connection.execute(change.values(claimed_by=None, claimed_until=None, **values))
        left = select(runs.c.id).where(runs.c.load_id.in_(load_ids), runs.c.status == "pending")
        waiting = list(tx.connection.execute(left).scalars())
        back = case((runs.c.any_place == 1, AUTO), else_=runs.c.backend)
        self._stamp_each(tx, waiting, {"load_id": None, "backend": back})

    @staticmethod
    def _stamp_each(tx: Transaction, run_ids: list[str], values: Mapping[str, Any]) -> None:
        """Change runs, each with a revision of its own."""
        if not run_ids:
            return
        for run_id, revision in zip(run_ids, tx.revisions(len(run_ids)), strict=True):
            stamp = {"updated_at": tx.now, "revision": revision}
            tx.connection.execute(update(runs).where(runs.c.id == run_id).values(**values, **stamp))


def _ready(now: datetime) -> Select[Any]:
    made = or_(runs.c.parent_run_id.is_(None), PARENT.c.status == "completed")
    return (
        select(*COLUMNS)
        .outerjoin(PARENT, PARENT.c.id == runs.c.parent_run_id)
        .where(QUEUED, runs.c.load_id.is_(None), lease_over(now), made)
        .order_by(runs.c.turn, runs.c.id)
    )


def _outside(scope: str) -> ColumnElement[bool]:
    kind, _, name = scope.partition(":")
    if kind == "engine":
        return runs.c.engine != name
    return or_(runs.c.backend != name, runs.c.any_place == 1)
