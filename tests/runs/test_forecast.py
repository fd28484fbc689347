"""When waiting runs start and end, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.batching import Slot, Waiting, plan_loads
from cosmos_pipelines.runs.estimates.model import RunEstimate
from cosmos_pipelines.runs.estimates.money import Price
from cosmos_pipelines.runs.estimates.spread import Spread
from cosmos_pipelines.runs.forecast import forecast

PRICES = {"big": Price(3.6, "EUR")}


@dataclass(frozen=True)
class Load:
    """A load of a plan."""

    run_ids: tuple[str, ...]
    place: str
    gpus: int
    slots: tuple[int, ...]
    start_s: float
    load_s: float
    ends: Mapping[str, float]


def estimate(own: Spread, load: Spread | None = None) -> RunEstimate:
    """What a run takes."""
    return RunEstimate(load or Spread(60, 70), own, None, "place", 9)


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Load], dict[str, RunEstimate]]:
    """Loads one after another on some slots, and the estimates of their runs."""
    free = [draw(st.floats(0, 100)) for _ in range(draw(st.integers(1, 4)))]
    loads: list[Load] = []
    estimates: dict[str, RunEstimate] = {}
    for _ in range(draw(st.integers(1, 8))):
        slots = draw(st.sets(st.integers(0, len(free) - 1), min_size=1, max_size=2))
        load_s, begun = draw(st.floats(0, 100)), max(free[slot] for slot in slots)
        now, ends = begun + load_s, {}
        for _ in range(draw(st.integers(1, 4))):
            own = draw(st.floats(1, 1000))
            name = f"rs_{len(estimates)}"
            estimates[name] = estimate(
                Spread(own, own * draw(st.floats(1, 2))), Spread(load_s, load_s * 1.2)
            )
            now = ends[name] = now + own
        for slot in slots:
            free[slot] = now
        loads.append(
            Load(tuple(ends), "big", len(slots), tuple(sorted(slots)), begun, load_s, ends)
        )
    return loads, estimates


@given(plans())
def test_each_run_is_told_once_as_planned_and_what_may_come_later_adds_up(
    plan: tuple[list[Load], dict[str, RunEstimate]],
) -> None:
    loads, estimates = plan
    found = forecast(loads, estimates, PRICES)
    assert sorted(one.run_id for one in found) == sorted(estimates)
    later: dict[int, float] = {}
    for one in found:
        load = next(load for load in loads if one.run_id in load.run_ids)
        assert (one.start.p50, one.end.p50) == (load.start_s, load.ends[one.run_id])
        assert one.start.p90 is not None
        assert one.end.p90 is not None
        assert one.start.p50 <= one.start.p90
        assert one.end.p50 <= one.end.p90 + 1e-6
        for slot in one.slots:  # no load makes up for the delay of the one before
            assert one.end.p90 - one.end.p50 >= later.get(slot, 0.0) - 1e-6
            later[slot] = one.end.p90 - one.end.p50
    money = sum(one.money.p50 for one in found if one.money)
    held = sum(
        load.gpus * (load.load_s + sum(estimates[r].own.p50 for r in load.run_ids))
        for load in loads
    )
    assert math.isclose(money, held * 3.6 / 3600, rel_tol=1e-6, abs_tol=1e-9)


def test_behind_a_run_of_which_only_a_guess_is_known_no_latest_end_is_told() -> None:
    loads = [
        Load(("rs_a",), "big", 1, (0,), 0, 60, {"rs_a": 160}),
        Load(("rs_b",), "cheap", 1, (0,), 160, 60, {"rs_b": 320}),
        Load(("rs_c",), "cheap", 1, (1,), 0, 60, {"rs_c": 160}),
    ]
    certain = estimate(Spread(100, 120))
    estimates = {"rs_a": estimate(Spread(100, None)), "rs_b": certain, "rs_c": certain}
    a, c, b = forecast(loads, estimates, PRICES)
    assert (a.end, b.start, b.end) == (Spread(160, None), Spread(160, None), Spread(320, None))
    assert c.end.p90 is not None
    assert (c.money, b.money) == (None, None)


def test_the_loads_of_the_planner_are_forecast() -> None:
    waiting = [
        Waiting(f"rs_{n}", n % 2, float(n), "cosmos_transfer1", "transfer", ("big",), 100, 60)
        for n in range(6)
    ]
    loads = plan_loads(waiting, [Slot("big", (0,)), Slot("big", (1,), 30)]).loads
    estimates = {run.run_id: estimate(Spread(100, 120)) for run in waiting}
    found = {one.run_id: one for one in forecast(loads, estimates, PRICES)}
    assert found.keys() == estimates.keys()
    for load in loads:
        for run_id in load.run_ids:
            assert (found[run_id].start.p50, found[run_id].place) == (load.start_s, "big")
            assert found[run_id].end.p50 == load.ends[run_id]


def test_a_gpu_that_may_become_free_later_delays_what_comes_behind() -> None:
    load = Load(("rs_a",), "big", 1, (0,), 30, 60, {"rs_a": 190})
    certain = {"rs_a": estimate(Spread(100, 100), Spread(60, 60))}
    (found,) = forecast([load], certain, PRICES, {0: Spread(0, 45)})
    assert (found.start, found.end) == (Spread(30, 75), Spread(190, 235))
