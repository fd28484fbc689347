"""Any number of dispatchers and processes on the real store, in any order of what they may do.

COSMOS_FUZZ=500 .venv/bin/python -m pytest -q tests/catalog/test_queue_machine.py
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select, update

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.add_runs import SHARE_S, STEP_S
from cosmos_pipelines.catalog.new_run import new_run
from cosmos_pipelines.catalog.pauses import ALL, engine_scope, place_scope
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import ACTIVE, utc_now
from cosmos_pipelines.catalog.tables import loads, pauses, runs
from tests.fuzz.inputs import BY_HAND

LONG = 1e6
"""Seconds of a lease that ends only where a rule lets it end."""
PLACES = ("local", "gpu1")
ENGINES = ("preview", "cosmos3")
SCOPES = (ALL, *map(place_scope, PLACES), *map(engine_scope, ENGINES))
ENDED = ("completed", "failed", "cancelled")
NUMBER = st.integers(0, 1000)


@dataclass
class Known:
    """What must be true of a run."""

    engine: str
    model_type: str
    ordered: str
    """Its place, or `auto`."""
    queued: bool
    priority: int
    number: int = 0
    parent: str | None = None
    status: str = "pending"
    load: str | None = None
    owner: str | None = None
    leased: bool = False
    moved: bool = False


@dataclass
class KnownLoad:
    """What must be true of a load."""

    place: str
    engine: str
    owner: str | None
    run_ids: list[str]
    state: str = "claimed"
    alive: bool = True


class QueueMachine(RuleBasedStateMachine):
    catalog: Catalog

    @initialize()
    def empty(self) -> None:
        with self.catalog.write() as tx:
            tx.connection.execute(update(runs).values(parent_run_id=None))
            for table in (runs, loads, pauses):
                tx.connection.execute(delete(table))
        self.runs: dict[str, Known] = {}
        self.loads: dict[str, KnownLoad] = {}
        self.paused: set[str] = set()
        self.order: list[str] = []
        self.ended: dict[str, Any] = {}

    # What people do

    @rule(
        number=st.integers(1, 4),
        priority=st.sampled_from([0, 0, 0, 1, -1, 100, -100]),
        place=st.sampled_from([*PLACES, "auto"]),
        engine=st.sampled_from(ENGINES),
        queued=st.sampled_from([True, True, True, False]),
    )
    def order_runs(self, number: int, priority: int, place: str, engine: str, queued: bool) -> None:
        rows = [
            new_run("transfer", engine, place, {"seed": n}, priority=priority)
            for n in range(number)
        ]
        for n, run in enumerate(self.catalog.add_runs(rows, queued=queued)):
            self.runs[run.id] = Known(engine, "transfer", place, queued, priority, n)
        self.joined([row["id"] for row in rows] if queued else [])

    @precondition(lambda self: self.runs)
    @rule(pick=NUMBER, place=st.sampled_from([*PLACES, "auto"]))
    def order_4k_of_a_run(self, pick: int, place: str) -> None:
        parent = self.any_of(self.runs, pick)
        run = self.catalog.add_run(
            "upscale", "preview", place, {}, parent_run_id=parent, queued=True
        )
        self.runs[run.id] = Known("preview", "upscale", place, True, 0, parent=parent)
        self.joined([run.id])

    @precondition(lambda self: self.movable())
    @rule(pick=NUMBER)
    def move_first(self, pick: int) -> None:
        run_id = self.any_of(self.movable(), pick)
        self.catalog.move_run(run_id, first=True)
        self.runs[run_id].moved = True
        self.order = [run_id, *(other for other in self.order if other != run_id)]

    @precondition(lambda self: len(self.movable()) > 1)
    @rule(pick=NUMBER, other=NUMBER, times=st.sampled_from([1, 1, 1, 40]))
    def move_before(self, pick: int, other: int, times: int) -> None:
        """Also again and again: two runs in turn before a third."""
        before = self.any_of(self.movable(), other)
        rest = [run_id for run_id in self.movable() if run_id != before]
        for n in range(times):
            run_id = self.any_of(rest, pick + n % 2)
            self.catalog.move_run(run_id, before=before)
            self.runs[run_id].moved = True
            self.order.remove(run_id)
            self.order.insert(self.order.index(before), run_id)
            assert self.in_order() == self.order

    @precondition(lambda self: self.movable())
    @rule(pick=NUMBER, priority=st.integers(-100, 100))
    def change_priority(self, pick: int, priority: int) -> None:
        run_id = self.any_of(self.movable(), pick)
        before, place = self.runs[run_id].priority, self.order.index(run_id)
        assert self.catalog.move_run(run_id, priority=priority).priority == priority
        self.runs[run_id].priority = priority
        self.order.remove(run_id)
        self.joined([run_id])
        now = self.order.index(run_id)
        assert now <= place if priority >= before else now >= place

    @rule(scope=st.sampled_from(SCOPES))
    def pause(self, scope: str) -> None:
        self.catalog.pause(scope, "ann@desk", "the host is needed")
        self.paused.add(scope)

    @precondition(lambda self: self.paused)
    @rule(pick=NUMBER, everything=st.booleans())
    def resume(self, pick: int, everything: bool) -> None:
        for scope in sorted(self.paused) if everything else [self.any_of(self.paused, pick)]:
            assert self.catalog.resume(scope)
            self.paused.discard(scope)

    @precondition(lambda self: self.runs)
    @rule(picks=st.lists(NUMBER, min_size=1, max_size=3))
    def cancel_what_waits(self, picks: list[int]) -> None:
        wanted = {self.any_of(self.runs, pick) for pick in picks}
        free = {r for r in wanted if self.runs[r].status == "pending" and not self.runs[r].leased}
        assert self.catalog.cancel_queued(sorted(wanted)) == free
        for run_id in free:
            self.end(run_id, "cancelled")

    @rule(hours=st.integers(1, 300))
    def time_passes(self, hours: int) -> None:
        with self.catalog.write() as tx:
            rows = tx.connection.execute(select(runs.c.id, runs.c.turn, runs.c.queued_at)).all()
            for row in rows:
                if row.turn is not None:
                    values = {
                        "turn": row.turn - 3600.0 * hours,
                        "queued_at": row.queued_at - timedelta(hours=hours),
                    }
                    change = update(runs).where(runs.c.id == row.id)
                    tx.connection.execute(change.values(values))

    # What dispatchers do

    @rule(
        owner=st.sampled_from("ab"),
        place=st.sampled_from(PLACES),
        picks=st.lists(NUMBER, max_size=4),
        number=st.integers(1, 4),
    )
    def take_a_load(self, owner: str, place: str, picks: list[int], number: int) -> None:
        """The first ready runs of one engine, and some that another one may have taken."""
        self.end_dead(self.dead())
        ready = [run_id for run_id in self.ready() if self.fits(run_id, place)]
        if not self.runs:
            return
        first = self.runs[ready[0] if ready else next(iter(self.runs))]
        same = [r for r in ready if self.alike(r, first)][:number]
        wanted = dict.fromkeys([*same, *(self.any_of(self.runs, pick) for pick in picks)])
        load = self.catalog.claim_load(
            NewLoad(place, first.engine, first.model_type, (*wanted, *wanted)), owner, LONG
        )
        paused = {ALL, place_scope(place), engine_scope(first.engine)} & self.paused
        free = [r for r in wanted if self.alike(r, first) and self.fits(r, place) and self.free(r)]
        if paused or not free:
            assert load is None
            return
        assert load is not None and load.run_ids == free
        self.loads[load.id] = KnownLoad(place, first.engine, owner, free)
        for run_id in free:
            self.runs[run_id].load = load.id

    @precondition(lambda self: self.loads)
    @rule(pick=NUMBER, owner=st.sampled_from("ab"))
    def renew(self, pick: int, owner: str) -> None:
        load_id = self.any_of(self.loads, pick)
        load = self.loads[load_id]
        own = load.state != "ended" and load.owner == owner
        assert self.catalog.renew_loads([load_id], owner, LONG) == ({load_id} if own else set())
        load.alive = load.alive or own

    @precondition(lambda self: self.loads)
    @rule(pick=NUMBER, owner=st.sampled_from("abpq"))
    def start(self, pick: int, owner: str) -> None:
        load_id = self.any_of(self.loads, pick)
        load = self.loads[load_id]
        scopes = {ALL, place_scope(load.place), engine_scope(load.engine)}
        may = load.state != "ended" and load.owner == owner and not scopes & self.paused
        assert self.catalog.start_load(load_id, owner) == may
        load.state = "started" if may else load.state

    @precondition(lambda self: self.loads)
    @rule(pick=NUMBER, process=st.sampled_from("pq"))
    def hand_over(self, pick: int, process: str) -> None:
        load_id = self.any_of(self.loads, pick)
        load = self.loads[load_id]
        got = self.catalog.hand_over_load(load_id, process, lease_s=LONG)
        assert (got is not None) == (load.state != "ended")
        if got is not None:
            load.owner, load.alive = process, True

    @precondition(lambda self: self.loads)
    @rule(pick=NUMBER)
    def end_a_load(self, pick: int) -> None:
        load_id = self.any_of(self.loads, pick)
        self.catalog.end_load(load_id, "done")
        self.end_dead([load_id])

    @precondition(lambda self: self.loads)
    @rule(owner=st.sampled_from("abpq"))
    def who_holds_loads_dies(self, owner: str) -> None:
        self.pass_over(loads, loads.c.claimed_by, loads.c.claimed_until, owner)
        for load in self.loads.values():
            load.alive = load.alive and load.owner != owner

    @rule()
    def dead_loads_end(self) -> None:
        dead = self.dead()
        assert sorted(self.catalog.end_dead_loads()) == sorted(dead)
        self.end_dead(dead)

    @rule()
    def dependents_end(self) -> None:
        failed = {run.id for run in self.catalog.end_dependents()}
        assert failed == {
            run_id
            for run_id in self.waiting()
            if not self.runs[run_id].leased and self.parent_is(run_id, ("failed", "cancelled"))
        }
        for run_id in failed:
            self.end(run_id, "failed")

    # What the processes do that execute runs

    @precondition(lambda self: self.runs)
    @rule(pick=NUMBER, process=st.sampled_from("pq"), by_hand=st.sampled_from([False, False, True]))
    def begin(self, pick: int, process: str, by_hand: bool) -> None:
        in_loads = [run_id for run_id, run in self.runs.items() if run.load]
        run_id = self.any_of(self.runs if by_hand or not in_loads else in_loads, pick)
        run = self.runs[run_id]
        load = None if by_hand else run.load or "ld_none"
        may = run.status in ("pending", "failed", "cancelled") if by_hand else (
            run.status in ("pending", "failed") and run.load is not None
        )  # fmt: skip
        may = may and not (run.leased and run.owner != process)
        got = self.catalog.claim(run_id, process, load=load, lease_s=LONG)
        assert (got is not None) == may
        if may:
            self.ended.pop(run_id, None)
            run.status, run.load = "uploading", load
            run.owner, run.leased = process, True
            self.order = [other for other in self.order if other != run_id]

    @precondition(lambda self: self.active())
    @rule(pick=NUMBER, process=st.sampled_from("pq"), how=st.sampled_from(["next", *ENDED[1:]]))
    def go_on(self, pick: int, process: str, how: str) -> None:
        run_id = self.any_of(self.active(), pick)
        run = self.runs[run_id]
        steps = {"uploading": "running", "running": "downloading", "downloading": "completed"}
        new = steps[run.status] if how == "next" else how
        fields = {"completed": {"outputs": {"video": "v"}}, "failed": {"error_kind": "lost"}}
        got = self.catalog.advance(run_id, process, run.status, new, **fields.get(new, {}))  # type: ignore[arg-type]
        assert (got is not None) == (run.owner == process)
        if got is not None:
            run.status = new
            if new in ENDED:
                self.end(run_id, new)

    @precondition(lambda self: self.active())
    @rule(pick=NUMBER, process=st.sampled_from("pq"))
    def give_back(self, pick: int, process: str) -> None:
        run_id = self.any_of(self.active(), pick)
        run = self.runs[run_id]
        got = self.catalog.give_back(run_id, process)
        may = run.status == "uploading" and run.owner == process and run.queued
        assert (got is not None) == may
        if may:
            run.status, run.load, run.owner, run.leased = "pending", None, None, False
            self.joined([run_id])

    @rule(process=st.sampled_from("pq"))
    def a_process_dies(self, process: str) -> None:
        self.pass_over(runs, runs.c.leased_by, runs.c.leased_until, process)
        for run in self.runs.values():
            run.leased = run.leased and run.owner != process

    @precondition(lambda self: self.active())
    @rule(pick=NUMBER, process=st.sampled_from("pq"))
    def adopt(self, pick: int, process: str) -> None:
        run_id = self.any_of(self.active(), pick)
        run = self.runs[run_id]
        got = self.catalog.adopt(run_id, process, LONG)
        assert (got is not None) == (not run.leased or run.owner == process)
        if got is not None:
            run.owner, run.leased = process, True

    @precondition(lambda self: self.ended)
    @rule(pick=NUMBER, process=st.sampled_from(["p", "q", ""]), old=st.sampled_from(ACTIVE))
    def a_late_word_of_an_ended_run(self, pick: int, process: str, old: str) -> None:
        run_id = self.any_of(self.ended, pick)
        failed = {"error_kind": "lost"}
        assert self.catalog.advance(run_id, process, old, "failed", **failed) is None  # type: ignore[arg-type]
        assert self.catalog.give_back(run_id, process) is None

    # What is always true

    @invariant()
    def the_store_is_as_it_must_be(self) -> None:
        there = self.catalog.find_runs(self.runs)
        for run_id, known in self.runs.items():
            run = there[run_id]
            assert (run.status, run.load_id) == (known.status, known.load), run_id
            assert run.leased_by == (known.owner if run.status != "pending" else None)
            assert run.priority == known.priority
            waits = run.status == "pending" and run.load_id is None
            assert run.backend == known.ordered or (known.ordered == "auto" and not waits)
        for run_id, row in self.ended.items():
            assert replace(there[run_id], queued_at=None, turn=None) == row
        rows = self.catalog.find_loads(self.loads)
        for load_id, load in self.loads.items():
            row = rows[load_id]
            assert (row.state, row.run_ids) == (load.state, load.run_ids)
            assert row.claimed_by == (None if load.state == "ended" else load.owner)

    @invariant()
    def no_run_is_in_two_loads_and_none_is_forgotten(self) -> None:
        open_loads = {key for key, load in self.loads.items() if load.state != "ended"}
        assert {load.id for load in self.catalog.open_loads()} == open_loads
        for run_id in self.waiting():
            if (load := self.runs[run_id].load) is not None:
                assert load in open_loads
                assert run_id in self.loads[load].run_ids

    @invariant()
    def the_order_is_as_promised_and_a_paused_queue_offers_nothing(self) -> None:
        assert self.in_order() == self.order == self.all_queued()
        assert [run.id for run in self.catalog.ready_runs()] == self.ready()
        if ALL in self.paused:
            assert self.ready() == []

    # The model

    def any_of(self, values: Iterable[str], pick: int) -> str:
        listed = list(values) if isinstance(values, dict | list) else sorted(values)
        return listed[pick % len(listed)]

    def waiting(self) -> list[str]:
        return [r for r in self.order if self.runs[r].status == "pending"]

    def movable(self) -> list[str]:
        return [r for r in self.waiting() if not self.runs[r].load and not self.runs[r].leased]

    def active(self) -> list[str]:
        return [run_id for run_id, run in self.runs.items() if run.status in ACTIVE]

    def parent_is(self, run_id: str, statuses: Iterable[str]) -> bool:
        parent = self.runs[run_id].parent
        return parent is not None and self.runs[parent].status in statuses

    def free(self, run_id: str) -> bool:
        run = self.runs[run_id]
        made = run.parent is None or self.parent_is(run_id, ["completed"])
        return run_id in self.movable() and made

    def alike(self, run_id: str, other: Known) -> bool:
        run = self.runs[run_id]
        return (run.engine, run.model_type) == (other.engine, other.model_type)

    def fits(self, run_id: str, place: str) -> bool:
        return self.runs[run_id].ordered in (place, "auto")

    def ready(self) -> list[str]:
        if ALL in self.paused:
            return []
        return [
            r
            for r in self.order
            if self.free(r)
            and place_scope(self.runs[r].ordered) not in self.paused
            and engine_scope(self.runs[r].engine) not in self.paused
        ]

    def dead(self) -> list[str]:
        return [k for k, load in self.loads.items() if load.state != "ended" and not load.alive]

    def end_dead(self, load_ids: Iterable[str]) -> None:
        for load_id in load_ids:
            self.loads[load_id].state = "ended"
            for run in self.runs.values():
                if run.load == load_id and run.status == "pending":
                    run.load = None

    def end(self, run_id: str, status: str) -> None:
        run = self.runs[run_id]
        run.status, run.owner, run.leased = status, None, False
        self.order = [other for other in self.order if other != run_id]
        self.ended[run_id] = replace(self.catalog.get_run(run_id), queued_at=None, turn=None)

    def in_order(self) -> list[str]:
        return [run.id for run in self.catalog.queued_runs(None, now=utc_now())]

    def all_queued(self) -> list[str]:
        with self.catalog.read() as connection:
            queued = (runs.c.status == "pending", runs.c.queued_at.is_not(None))
            rows = connection.execute(
                select(runs.c.id).where(*queued).order_by(runs.c.turn, runs.c.id)
            )
            return list(rows.scalars())

    def joined(self, run_ids: list[str]) -> None:
        """These are in the queue now: where the store has put them must be as promised."""
        now = self.all_queued()
        assert [run_id for run_id in now if run_id not in run_ids] == self.order
        turns = {run_id: self.turn(run_id) for run_id in now if not self.runs[run_id].moved}
        usual = [run_id for run_id in now if run_id in turns]
        note(f"turns: {turns}")
        moved = any(run.moved for run in self.runs.values())
        gave_way = 1.0 if moved else 0.0  # to runs that were moved before them
        assert all(turns[one] <= turns[two] + gave_way for one, two in pairwise(usual))
        self.order = now

    def turn(self, run_id: str) -> float:
        run, queued_at = self.runs[run_id], self.catalog.get_run(run_id).queued_at
        assert queued_at is not None
        return queued_at.timestamp() + SHARE_S * run.number - STEP_S * run.priority

    def pass_over(self, table: Any, who: Any, until: Any, owner: str) -> None:
        """Let the leases of `owner` end."""
        with self.catalog.write() as tx:
            past = tx.now - timedelta(seconds=1)
            tx.connection.execute(update(table).where(who == owner).values({until: past}))


def test_the_queue_keeps_its_promises_whoever_does_what_in_which_order(catalog: Catalog) -> None:
    machine = type("OnThisCatalog", (QueueMachine,), {"catalog": catalog})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=BY_HAND or 8,
            stateful_step_count=40,
            deadline=None,
            derandomize=not BY_HAND,
            database=None,
            phases=(Phase.generate,),  # to shrink takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
