"""Waiting runs become loads on slots: examples."""

from __future__ import annotations

from cosmos_pipelines.batching import Schedule, Slot, plan_loads
from tests.batching.queues import gpus, many, waiting

HOUR = 3600.0


def loads(schedule: Schedule) -> list[tuple[str, ...]]:
    """The runs of each load, by its start."""
    return [load.run_ids for load in schedule.loads]


def test_runs_with_one_key_share_a_load_and_say_what_that_saves() -> None:
    schedule = plan_loads(many(5), gpus(1))
    [load] = schedule.loads
    assert len(load.run_ids) == 5
    assert (load.start_s, load.load_s, load.run_s, load.end_s) == (0, 120, 1500, 1620)
    assert load.saved_s == schedule.saved_s == 4 * 120
    assert load.ends["rs_0000"] == 420
    assert load.why == (
        "5 runs with the same settings of the model share a load; no more of them wait."
    )


def test_a_later_run_rides_along_with_the_earlier_one_of_its_key() -> None:
    queue = [waiting("rs_1", "x", 0), waiting("rs_2", "y", 1), waiting("rs_3", "x", 2)]
    assert loads(plan_loads(queue, gpus(1))) == [("rs_1", "rs_3"), ("rs_2",)]


def test_no_load_is_larger_than_one_of_its_runs_allows() -> None:
    queue = [*many(3, name="few", max_batch=2), *many(9, name="more", max_batch=8)]
    for load in plan_loads(queue, gpus(1)).loads:
        most = 2 if any(run_id.startswith("few") for run_id in load.run_ids) else 8
        assert len(load.run_ids) <= most


def test_an_urgent_run_is_not_held_up_by_mates_of_the_one_before_it() -> None:
    first = waiting("rs_first", "x", -10 * HOUR)
    urgent = waiting("rs_urgent", "y", -10 * HOUR + 300)
    queue = [first, urgent, *many(15, key="x")]
    assert loads(plan_loads(queue, gpus(1)))[:2] == [("rs_first",), ("rs_urgent",)]


def test_mates_of_one_order_stay_together_although_others_of_it_wait() -> None:
    queue = [waiting(f"rs_{n:04}", n % 20, 300 * n) for n in range(200)]
    assert {len(load.run_ids) for load in plan_loads(queue, gpus(1)).loads} == {10}


def test_an_idle_gpu_takes_its_share_of_a_load() -> None:
    schedule = plan_loads(many(8), gpus(2))
    assert [len(load.run_ids) for load in schedule.loads] == [4, 4]
    assert {load.slots for load in schedule.loads} == {(0,), (1,)}
    assert "other GPUs are free for the rest" in schedule.loads[0].why


def test_a_gpu_that_other_runs_need_takes_no_share() -> None:
    queue = [*many(8, key="x", name="x"), *many(8, key="y", name="y")]
    assert [len(load.run_ids) for load in plan_loads(queue, gpus(2)).loads] == [8, 8]


def test_runs_of_hours_do_not_block_a_gpu_for_days() -> None:
    schedule = plan_loads(many(16, seconds=3 * HOUR), gpus(1))
    assert max(len(load.run_ids) for load in schedule.loads[:-1]) < 16
    assert len(schedule.loads) <= 4


def test_a_load_of_two_gpus_has_two_of_one_place() -> None:
    slots = [*gpus(1, "b"), *gpus(2, "a"), Slot("c", (0, 1), free_at=50)]
    queue = [waiting("rs_1", places=("a", "b", "c"), gpus=2)]
    [load] = plan_loads(queue, slots).loads
    assert (load.place, load.slots, load.start_s) == ("a", (1, 2), 0)
    [load] = plan_loads(queue, [slots[0], slots[3]]).loads
    assert (load.place, load.slots, load.start_s) == ("c", (1,), 50)


def test_a_gpu_that_waits_for_a_second_one_makes_short_runs_meanwhile() -> None:
    slots = [Slot("a", (0,)), Slot("a", (1,), free_at=1000)]
    queue = [waiting("rs_two", "x", 0, gpus=2), *many(8, key="y", turn=1)]
    schedule = plan_loads(queue, slots)
    assert schedule.loads[0].run_ids == ("rs_0000", "rs_0001")
    assert schedule.loads[0].end_s <= 1000
    assert [load.start_s for load in schedule.loads if load.gpus == 2] == [1000]


def test_of_two_places_the_one_that_is_free_first_is_taken_then_the_first_of_the_run() -> None:
    either = [waiting(places=("b", "a"))]
    a, b, later = Slot("a", (0,)), Slot("b", (0,)), Slot("b", (0,), 1.0)
    assert plan_loads(either, [a, b]).loads[0].place == "b"
    assert plan_loads(either, [a, later]).loads[0].place == "a"


def test_runs_that_prefer_other_places_share_a_load_where_only_one_is_free() -> None:
    queue = [*many(3, places=("a", "b"), name="x"), *many(3, places=("b", "a"), name="y")]
    [load] = plan_loads(queue, gpus(1, "b")).loads
    assert len(load.run_ids) == 6


def test_a_lone_run_waits_for_company_no_longer_than_was_said() -> None:
    lone = [waiting("rs_1", since=1000)]
    assert plan_loads(lone, gpus(1), now=1010).loads[0].start_s == 0
    assert plan_loads(lone, gpus(1), company_s=60, now=1010).loads[0].start_s == 50
    assert plan_loads(lone, gpus(1), company_s=60, now=1070).loads[0].start_s == 0
    two = [*lone, waiting("rs_2", since=1009)]
    assert plan_loads(two, gpus(1), company_s=60, now=1010).loads[0].start_s == 0


def test_others_use_the_gpu_while_a_lone_run_waits_for_company() -> None:
    queue = [waiting("rs_lone", "x", 0, since=1000), *many(2, key="y", turn=1, since=1000)]
    schedule = plan_loads(queue, gpus(1), company_s=600, now=1000)
    assert [(load.run_ids, load.start_s) for load in schedule.loads] == [
        (("rs_0000", "rs_0001"), 0),
        (("rs_lone",), 720),
    ]


def test_a_run_that_fits_nowhere_says_why_and_stops_no_other() -> None:
    queue = [waiting("rs_1", gpus=4), waiting("rs_2", places=("b",)), waiting("rs_3")]
    schedule = plan_loads(queue, gpus(2))
    assert loads(schedule) == [("rs_3",)]
    assert schedule.unplaced == {
        "rs_1": "It needs 4 GPUs of one place, and there are 2 at most.",
        "rs_2": "No GPU is known where it may be executed: b.",
    }
