"""What a planner is given, and what it returns. Plain data; all times are seconds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cosmos_pipelines.engines.base import Mixed

Mode = Literal["strict", "mixed"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits, as a planner sees it."""

    run_id: str
    key: Hashable
    """Runs with equal keys may share a load without changing a pixel: `Engine.batch_key`."""
    turn: float
    """The run's place in the queue, in seconds: the smaller, the earlier."""
    engine: str
    model_type: str
    places: tuple[str, ...]
    """Where it may be executed, the best first."""
    seconds: float
    """Its own time in a load (p50)."""
    load_s: float
    """The time of loading its model (p50)."""
    gpus: int = 1
    """GPUs that it needs; a run without a GPU needs a slot too."""
    max_batch: int = 8
    """Most runs of a load that this run is in."""
    since: float | None = None
    """When it was queued, in seconds since 1970; None: see `turn`."""
    mixed: Mixed | None = None
    """How it may share a load with runs with different controls; None: not at all."""


@dataclass(frozen=True, slots=True)
class Slot:
    """GPUs of a place that become free together; a load may use some of them, or several slots."""

    place: str
    gpus: tuple[int, ...] = ()
    """Ids on the host; empty: one position that has no GPU."""
    free_at: float = 0.0
    """Seconds from now."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """A load to come."""

    run_ids: tuple[str, ...]
    """In the order of the queue."""
    key: Hashable
    """Of its first run."""
    engine: str
    model_type: str
    place: str
    gpus: int
    slots: tuple[int, ...]
    """Positions of the slots that it uses in the sequence of slots that was given."""
    start_s: float
    """Seconds from now."""
    load_s: float
    run_s: float
    """Time of its runs together, one after the other."""
    mode: Mode
    why: str
    """Why these runs are together, and why not more of them, in one sentence."""
    saved_s: float
    """GPU seconds that are saved against one load for each run."""
    ends: Mapping[str, float] = field(default_factory=dict)
    """By run: when it is expected to end, in seconds from now."""
    added: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By run: controls of others that it executes with weight 0. Empty if the load is strict.

    Only runs that have one here may get other pixels than alone.
    """

    @property
    def end_s(self) -> float:
        """When the load is expected to end, in seconds from now."""
        return self.start_s + self.load_s + self.run_s

    @property
    def gpu_s(self) -> float:
        """GPU seconds of the load; a load without a GPU counts as one."""
        return max(1, self.gpus) * (self.load_s + self.run_s)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The loads to come, by their start."""

    loads: tuple[LoadPlan, ...]
    unplaced: Mapping[str, str]
    """Runs that no slot can take, by id: why."""
    fewest_gpu_s: float
    """GPU seconds if every load were as full as it can be: no plan of the same keys needs less."""

    @property
    def gpu_s(self) -> float:
        """GPU seconds of all loads."""
        return sum(load.gpu_s for load in self.loads)

    @property
    def saved_s(self) -> float:
        """GPU seconds that are saved against one load for each run."""
        return sum(load.saved_s for load in self.loads)
