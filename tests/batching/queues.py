"""Waiting runs and slots for tests of the planner, and simple ways to plan that it is held to."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from cosmos_pipelines.batching import Slot, Waiting
from cosmos_pipelines.engines.base import Mixed

LOADS = {0: 120.0, 1: 30.0, 2: 0.0, 3: 600.0}
"""Seconds of loading, by key."""
CONTROLS = {0: ("edge",), 1: ("depth",), 2: ("edge", "depth"), 3: ("seg",)}


def waiting(run_id: str = "rs_1", key: Hashable = "k", turn: float = 0, **changes: Any) -> Waiting:
    """A run of 300 seconds with a load of 120, on one GPU of the place `a`."""
    usual: dict[str, Any] = {
        "engine": "cosmos_transfer1", "model_type": "transfer", "places": ("a",),
        "seconds": 300.0, "load_s": 120.0, "max_batch": 16,
    }  # fmt: skip
    return Waiting(run_id, key, turn, **{**usual, **changes})


def many(count: int, **changes: Any) -> list[Waiting]:
    """Runs of one order, a turn of 300 seconds after each other."""
    first = changes.pop("turn", 0.0)
    name = changes.pop("name", "rs")
    return [waiting(f"{name}_{n:04}", turn=first + 300 * n, **changes) for n in range(count)]


def gpus(count: int, place: str = "a", **changes: Any) -> list[Slot]:
    """Slots of one GPU each."""
    return [Slot(place, (n,), **changes) for n in range(count)]


@st.composite
def queues(
    draw: st.DrawFn,
    places: Sequence[tuple[str, ...]] = (("a",),),
    most_gpus: int = 1,
    limits: Sequence[int] = (1, 2, 4, 16),
) -> list[Waiting]:
    """Any queue; runs of one key have one time of loading. `limits`: of the runs of key 3."""
    found = []
    for n in range(draw(st.integers(0, 40))):
        key = draw(st.integers(0, 3))
        found.append(
            waiting(
                f"rs_{n:04}",
                key,
                draw(st.sampled_from([0.0, -36_000.0, 7200.0]) | st.floats(-1e5, 1e5)),
                seconds=draw(st.sampled_from([1.0, 300.0, 10_800.0])),
                load_s=LOADS[key],
                places=draw(st.sampled_from(list(places))),
                gpus=draw(st.integers(0, most_gpus)),
                max_batch=draw(st.sampled_from(list(limits))) if key == 3 else 8,
                mixed=draw(st.sampled_from([None, Mixed("m", CONTROLS[key], 0.1)])),
            )
        )
    return found


def sliced(runs: Iterable[Waiting], most: int = 4) -> list[list[Waiting]]:
    """Cut runs that are alike into pieces, in the order of the queue."""
    groups: dict[Hashable, list[Waiting]] = {}
    for run in sorted(runs, key=lambda run: (run.turn, run.run_id)):
        groups.setdefault((run.key, run.places, run.gpus, run.max_batch), []).append(run)
    return [
        same[start : start + min(most, same[0].max_batch)]
        for same in groups.values()
        for start in range(0, len(same), min(most, same[0].max_batch))
    ]


def gpu_seconds(loads: Iterable[Sequence[Waiting]]) -> float:
    """GPU seconds of loads."""
    return sum(
        max(1, runs[0].gpus) * (max(r.load_s for r in runs) + sum(r.seconds for r in runs))
        for runs in loads
    )
