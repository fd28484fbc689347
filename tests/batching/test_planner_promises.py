"""What the planner promises of any queue. `COSMOS_FUZZ` sets the number of examples."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.batching import Schedule, Slot, Waiting, plan_loads
from cosmos_pipelines.batching.loads import Mode
from tests.batching.queues import gpu_seconds, gpus, queues, sliced
from tests.fuzz.inputs import some

PLACES = (("a",), ("b",), ("a", "b"), ())
SLOTS = st.lists(
    st.builds(
        Slot,
        st.sampled_from(["a", "b"]),
        st.sampled_from([(), (0,), (0, 1)]),
        st.sampled_from([0.0, 10.0, 5000.0]),
    ),
    max_size=4,
)
ANYWHERE = queues(PLACES, most_gpus=3)
MODES = st.sampled_from(["strict", "mixed"])
ROUNDING = 1e-6


def of(schedule: Schedule, queue: Sequence[Waiting]) -> list[list[Waiting]]:
    """The runs of each load."""
    by_id = {run.run_id: run for run in queue}
    return [[by_id[run_id] for run_id in load.run_ids] for load in schedule.loads]


@some(30)
@given(ANYWHERE, SLOTS, MODES, st.sampled_from([0.0, 60.0]))
def test_every_run_is_planned_once_or_is_said_to_fit_nowhere(
    queue: list[Waiting], slots: list[Slot], mode: Mode, company_s: float
) -> None:
    schedule = plan_loads(queue, slots, mode=mode, company_s=company_s)
    planned = [run_id for load in schedule.loads for run_id in load.run_ids]
    assert Counter([*planned, *schedule.unplaced]) == Counter(run.run_id for run in queue)
    room = Counter(slot.place for slot in slots for _ in range(max(1, len(slot.gpus))))
    for run in queue:
        fits = any(room[place] >= max(1, run.gpus) for place in run.places)
        assert fits == (run.run_id not in schedule.unplaced)


@some(30)
@given(ANYWHERE, SLOTS, MODES)
def test_a_load_keeps_the_limits_of_each_of_its_runs(
    queue: list[Waiting], slots: list[Slot], mode: Mode
) -> None:
    schedule = plan_loads(queue, slots, mode=mode)
    for load, runs in zip(schedule.loads, of(schedule, queue), strict=True):
        assert len(runs) <= min(run.max_batch for run in runs)
        assert all(load.place in run.places for run in runs)
        assert len({run.gpus for run in runs}) == 1
        if load.mode == "strict":
            assert len({run.key for run in runs}) == 1
        else:
            assert mode == "mixed"
            assert len({run.mixed.key for run in runs if run.mixed}) == 1
            assert all(run.mixed for run in runs)


@some(30)
@given(ANYWHERE, SLOTS, MODES, st.sampled_from([0.0, 60.0]))
def test_no_gpu_is_used_by_two_loads_at_once(
    queue: list[Waiting], slots: list[Slot], mode: Mode, company_s: float
) -> None:
    schedule = plan_loads(queue, slots, mode=mode, company_s=company_s)
    for place in ("a", "b"):
        mine = [load for load in schedule.loads if load.place == place]
        for moment in {load.start_s for load in mine}:
            busy = sum(max(1, x.gpus) for x in mine if x.start_s <= moment < x.end_s)
            free = [slot for slot in slots if slot.place == place and slot.free_at <= moment]
            assert busy <= sum(max(1, len(slot.gpus)) for slot in free)


@some(30)
@given(ANYWHERE, SLOTS)
def test_a_plan_never_needs_more_gpu_seconds_than_pieces_of_four(
    queue: list[Waiting], slots: list[Slot]
) -> None:
    schedule = plan_loads(queue, slots)
    planned = [run for run in queue if run.run_id not in schedule.unplaced]
    assert schedule.gpu_s <= gpu_seconds(sliced(planned)) + ROUNDING


@some(30)
@given(queues(limits=[3]), st.integers(0, 5))
def test_a_plan_on_one_gpu_needs_at_most_three_percent_more_than_any_plan_must(
    queue: list[Waiting], free_at: int
) -> None:
    schedule = plan_loads(queue, [Slot("a", (0,), float(free_at))])
    assert schedule.fewest_gpu_s <= schedule.gpu_s + ROUNDING
    assert schedule.gpu_s <= 1.03 * schedule.fewest_gpu_s + ROUNDING


@some(30)
@given(ANYWHERE, SLOTS, MODES, st.randoms())
def test_the_same_queue_gives_the_same_plan_in_whatever_order_it_is_read(
    queue: list[Waiting], slots: list[Slot], mode: Mode, mixer: random.Random
) -> None:
    other = [*queue]
    mixer.shuffle(other)
    assert plan_loads(queue, slots, mode=mode) == plan_loads(other, slots, mode=mode)


@some(30)
@given(queues(), st.integers(1, 4))
def test_the_first_run_of_the_queue_is_in_the_first_load(queue: list[Waiting], count: int) -> None:
    schedule = plan_loads(queue, gpus(count))
    if queue:
        first = min(queue, key=lambda run: (run.turn, run.run_id))
        [load] = [load for load in schedule.loads if first.run_id in load.run_ids]
        assert load.start_s == 0


@some(30)
@given(queues(), st.integers(1, 3))
def test_of_runs_that_are_alike_none_is_started_before_an_earlier_one(
    queue: list[Waiting], count: int
) -> None:
    schedule = plan_loads(queue, gpus(count))
    starts = {run_id: load.start_s for load in schedule.loads for run_id in load.run_ids}
    for runs in sliced(queue, most=1000):
        begun = [starts[run.run_id] for run in runs]
        assert begun == sorted(begun)


@some(30)
@given(queues(), st.integers(1, 3))
def test_mixed_loads_never_need_more_gpu_seconds_than_strict_ones(
    queue: list[Waiting], count: int
) -> None:
    strict, mixed = (plan_loads(queue, gpus(count), mode=mode) for mode in ("strict", "mixed"))
    assert mixed.gpu_s <= strict.gpu_s + ROUNDING
    for load in mixed.loads:
        assert (load.mode == "mixed") == any(load.added.values())


@some(30)
@given(queues(), st.floats(1, 5000))
def test_no_run_waits_longer_for_company_than_was_said(
    queue: list[Waiting], company_s: float
) -> None:
    schedule = plan_loads(queue, gpus(1), company_s=company_s, now=0)
    idle_until = 0.0
    for load in schedule.loads:
        if load.start_s > idle_until + ROUNDING:
            [run] = [run for run in queue if run.run_id == load.run_ids[0]]
            assert len(load.run_ids) == 1
            assert load.start_s <= run.turn + company_s + ROUNDING
        idle_until = max(idle_until, load.end_s)
