"""The runs of a load, and other runs that join it in the mode `mixed`. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from cosmos_pipelines.batching.gpus import Spot
from cosmos_pipelines.batching.lanes import Line
from cosmos_pipelines.batching.loads import LoadPlan, Waiting
from cosmos_pipelines.batching.sizes import runs_in_a_load
from cosmos_pipelines.engines.controls import listed


class Members:
    """The runs of a load."""

    def __init__(self, runs: Iterable[Waiting]) -> None:
        self.runs = list(runs)

    @property
    def most(self) -> int:
        """The most runs that each of its runs allows."""
        return max(1, min(run.max_batch for run in self.runs))

    @property
    def mixed_key(self) -> Hashable | None:
        """The key of mixed loads that all its runs have."""
        keys = {None if run.mixed is None else run.mixed.key for run in self.runs}
        return keys.pop() if len(keys) == 1 else None

    @property
    def load_s(self) -> float:
        """Seconds of loading."""
        return max(run.load_s for run in self.runs)

    @property
    def seconds(self) -> float:
        """Seconds of all its runs."""
        return sum(self._seconds(run) for run in self.runs)

    @property
    def controls(self) -> tuple[str, ...]:
        """All controls of its runs, if any of them may be mixed."""
        own = (run.mixed.controls for run in self.runs if run.mixed is not None)
        return tuple(dict.fromkeys(control for controls in own for control in controls))

    def _added(self, run: Waiting) -> tuple[str, ...]:
        """Controls of the others, which a run executes with weight 0."""
        if run.mixed is None:
            return ()
        return tuple(control for control in self.controls if control not in run.mixed.controls)

    def _seconds(self, run: Waiting) -> float:
        branch = 0.0 if run.mixed is None else run.mixed.branch
        return run.seconds * (1 + branch * len(self._added(run)))

    def load(self, spot: Spot, reason: str) -> LoadPlan:
        """Return it as a load that starts on a spot."""
        runs = sorted(self.runs, key=lambda run: (run.turn, run.run_id))
        first, gpus = runs[0], max(1, runs[0].gpus)
        at = spot.start + self.load_s
        ends = {}
        for run in runs:
            at += self._seconds(run)
            ends[run.run_id] = at
        added = {run.run_id: self._added(run) for run in runs}
        mixed = any(added.values())
        alone = sum(run.load_s + run.seconds for run in runs)
        return LoadPlan(
            tuple(run.run_id for run in runs),
            first.key,
            first.engine,
            first.model_type,
            spot.place,
            first.gpus,
            tuple(sorted({unit.slot for unit in spot.units})),
            spot.start,
            self.load_s,
            self.seconds,
            "mixed" if mixed else "strict",
            _why(len(runs), self.controls if mixed else (), reason),
            gpus * (alone - self.load_s - self.seconds),
            ends,
            added if mixed else {},
        )


def join(members: Members, line: Line, place: str) -> None:
    """Let runs of other lanes join a load, where loading for them costs more than they add.

    Only whole lanes join, as only then a load is saved.
    """
    if (key := members.mixed_key) is None:
        return
    for other in line.mixable(key, members.runs[0].gpus, place):
        if len(members.runs) >= members.most:
            return
        if len(members.runs) + len(other.runs) > min(members.most, other.most):
            continue
        both, alone = Members([*members.runs, *other.runs]), Members(other.runs)
        if len(both.runs) > runs_in_a_load(len(both.controls), both.most):
            continue
        if both.mixed_key is None:
            continue
        apart = members.load_s + members.seconds + alone.load_s + alone.seconds
        if both.load_s + both.seconds < apart:
            members.runs += line.take(other, len(other.runs))


def _why(count: int, controls: Sequence[str], reason: str) -> str:
    if controls:
        return f"{count} runs with different controls share a load of {listed(controls)}; {reason}."
    if count == 1:
        return f"One run alone; {reason}."
    return f"{count} runs with the same settings of the model share a load; {reason}."
