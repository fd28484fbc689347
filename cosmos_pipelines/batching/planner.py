"""Which waiting runs are executed together, where, and in which order. Pure.

Loads come in the order of their first runs. A load takes along what has the same key, although it
comes later in the queue, as loading a model for it again would delay all others. It takes fewer

- where a GPU would be idle otherwise: it gets a share;
- where the rest would hold up runs that are far ahead of it: the queue has a gap of more than an
  hour (one step of priority) between them;
- where loading is a 25th of the load's time already: more runs save little, and an urgent run that
  comes later must wait for the end of a load.

Two limits hold all of that: a lane never becomes more loads than pieces of four runs, and all loads
that are not needed take at most 3 % of the GPU seconds, except those on GPUs that would be idle.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from math import ceil
from typing import Final

from cosmos_pipelines.batching.gpus import Gpus, Spot
from cosmos_pipelines.batching.lanes import Lane, Line, lanes_of
from cosmos_pipelines.batching.loads import LoadPlan, Mode, Schedule, Slot, Waiting
from cosmos_pipelines.batching.mixing import Members, join

SPARE: Final = 0.03
"""The part of all GPU seconds that loads may take which are not needed."""
GAP_S: Final = 3600.0
"""A gap in the turns of all waiting runs, after which runs are far behind: one step of priority."""
LONG: Final = 25
"""A load that is so many times as long as loading its model gains little by more runs."""


def plan_loads(
    waiting: Sequence[Waiting],
    slots: Sequence[Slot],
    *,
    mode: Mode = "strict",
    company_s: float = 0.0,
    now: float = 0.0,
) -> Schedule:
    """Plan all waiting runs on the slots: O(n log n), and the same for the same arguments.

    `company_s`: how long a run without mates waits for one, from the moment `Waiting.since` on.
    `now`: seconds since 1970; only the company needs it. `mixed` takes the strict plan where that
    needs no more GPU seconds.
    """
    strict = _Planner(waiting, slots, "strict", company_s, now).plan()
    if mode == "strict":
        return strict
    mixed = _Planner(waiting, slots, mode, company_s, now).plan()
    return mixed if mixed.gpu_s < strict.gpu_s else strict


class _Planner:
    def __init__(
        self,
        waiting: Sequence[Waiting],
        slots: Sequence[Slot],
        mode: Mode,
        company_s: float,
        now: float,
    ) -> None:
        lanes = lanes_of(waiting)
        self._gpus, self._line = Gpus(slots), Line(lanes)
        self._mode, self._company_s, self._now = mode, company_s, now
        self._fewest_gpu_s = fewest_gpu_s(lanes)
        turns = sorted(run.turn for run in waiting)
        self._far = [after for before, after in pairwise(turns) if after - before > GAP_S]
        self._spare_s = SPARE * self._fewest_gpu_s
        self._held: list[tuple[float, tuple[float, str], Lane]] = []
        self._loads: list[LoadPlan] = []
        self._unplaced: dict[str, str] = {}

    def plan(self) -> Schedule:
        while (found := self._next()) is not None:
            lane, not_before = found
            spot = self._gpus.soonest(lane.places, _units(lane))
            if spot is None:
                self._leave(lane)
                continue
            if (wait := self._company(lane)) > max(spot.start, not_before):
                heappush(self._held, (wait, lane.turn, lane))
                continue
            spot.start = max(spot.start, not_before)
            self._place(lane, spot)
            self._line.put(lane)
        self._loads.sort(key=lambda load: (load.start_s, load.run_ids))
        return Schedule(tuple(self._loads), self._unplaced, self._fewest_gpu_s)

    def _next(self) -> tuple[Lane, float] | None:
        """The next lane, and the moment before which it must not start."""
        while self._held:
            wait, _, lane = self._held[0]
            spot = self._gpus.soonest(lane.places, _units(lane))
            if spot is not None and spot.start < wait:
                break
            heappop(self._held)
            self._line.put(lane)
        if (first := self._line.first()) is not None:
            return first, 0.0
        if self._held:
            wait, _, lane = heappop(self._held)
            return lane, wait
        return None

    def _company(self, lane: Lane) -> float:
        """Until when a run without mates waits for one, in seconds from now."""
        if self._company_s <= 0 or len(lane.runs) > 1 or lane.most < 2:
            return 0.0
        if self._line.has_mates(lane):
            return 0.0
        [run] = lane.runs
        return (run.turn if run.since is None else run.since) + self._company_s - self._now

    def _leave(self, lane: Lane) -> None:
        """Say of a lane that no slot can take it."""
        most = max((self._gpus.count(place) for place in lane.places), default=0)
        why = f"It needs {_units(lane)} GPUs of one place, and there are {most} at most."
        if most == 0:
            why = (
                f"No GPU is known where it may be executed: {', '.join(lane.places)}."
                if lane.places
                else "No place can take it now."
            )
        self._unplaced |= {run.run_id: why for run in self._line.take(lane, len(lane.runs))}

    def _place(self, lane: Lane, spot: Spot) -> None:
        """Make the first load of a lane, and give it its place."""
        first = lane.runs[0]
        if _units(lane) == 1:
            gap = self._gpus.gap(lane.places, spot.start, first.load_s + first.seconds)
            if gap is not None and (size := self._fitting(lane, gap)) > 0:
                runs = self._line.take(lane, size)
                lane.allowed -= 1
                self._add(gap, Members(runs), "it fits in before a load that needs several GPUs")
                return
        size, reason = self._size(lane, spot)
        members = Members(self._line.take(lane, size))
        lane.allowed -= 1
        if not lane.runs and reason != SHARE:
            for other in self._line.others(lane, spot.place):
                room = min(members.most, other.most) - len(members.runs)
                if room > 0:
                    members.runs += self._line.take(other, min(room, len(other.runs)))
            if self._mode == "mixed" and not self._is_idle(lane, spot, members.seconds):
                join(members, self._line, spot.place)
        self._add(spot, members, reason)

    def _fitting(self, lane: Lane, gap: Spot) -> int:
        """How many runs of a lane fit into a gap; 0: too few to make a load of them."""
        assert gap.until is not None
        room, size = gap.until - gap.start, 0
        load_s = seconds = 0.0
        for run in _first(lane, lane.most):
            load_s, seconds = max(load_s, run.load_s), seconds + run.seconds
            if load_s + seconds > room:
                break
            size += 1
        return size if size >= _least(lane) else 0

    def _size(self, lane: Lane, spot: Spot) -> tuple[int, str]:
        """How many runs the next load of a lane takes, and why not more."""
        most = min(lane.most, len(lane.runs))
        runs = _first(lane, most)
        seconds = sum(run.seconds for run in runs)
        if (idle := self._idle(lane, spot, seconds)) > 0:
            parts = min(max(lane.fewest, idle + 1), lane.allowed)
            share = max(_least(lane), ceil(len(lane.runs) / parts))
            if share < most:
                return share, SHARE
        cut, reason = self._cut(runs, spot.place)
        cut = max(cut, _least(lane))
        if reason == ENOUGH:
            cut = max(cut, ceil(len(lane.runs) / lane.allowed))
        if cut < most and self._pay(lane, cut):
            return cut, reason
        return most, FULL if most < len(lane.runs) else ALL

    def _cut(self, runs: Sequence[Waiting], place: str) -> tuple[int, str]:
        """After how many runs a load is better ended, and why."""
        ahead = self._line.next_turn(place)
        left = sum(run.seconds for run in runs)
        load_s = seconds = 0.0
        for count, run in enumerate(runs):
            if count and ahead is not None and left > load_s and self._is_far(ahead, run.turn):
                return count, URGENT
            load_s = max(load_s, run.load_s)
            seconds, left = seconds + run.seconds, left - run.seconds
            if seconds >= LONG * load_s > 0:
                return count + 1, ENOUGH
        return len(runs), ALL

    def _is_far(self, before: float, after: float) -> bool:
        return bisect_right(self._far, before) < bisect_right(self._far, after)

    def _pay(self, lane: Lane, size: int) -> bool:
        """Pay for the loads that a smaller load makes necessary; False: they cost too much."""
        extra = 1 + lane.loads_of(len(lane.runs) - size) - lane.fewest
        cost = extra * _units(lane) * max(run.load_s for run in lane.runs)
        if cost > self._spare_s:
            return False
        self._spare_s -= cost
        return True

    def _idle(self, lane: Lane, spot: Spot, seconds: float) -> int:
        """How many more loads of a lane could start while its first one is executed."""
        soon = spot.start + (lane.runs[0].load_s + seconds) / 2
        free = self._gpus.free_before(lane.places, soon) // _units(lane) - 1
        return free - (self._line.loads_at(lane.places) - lane.fewest)

    def _is_idle(self, lane: Lane, spot: Spot, seconds: float) -> bool:
        """Whether a GPU is left for the runs that could join a load whose runs are taken."""
        free = self._gpus.free_before(lane.places, spot.start + seconds / 2) // _units(lane) - 1
        return free >= self._line.loads_at(lane.places) > 0

    def _add(self, spot: Spot, members: Members, reason: str) -> None:
        load = members.load(spot, reason)
        self._gpus.use(spot, load.end_s)
        self._loads.append(load)


SHARE: Final = "other GPUs are free for the rest"
URGENT: Final = "the rest would hold up runs that are far ahead of it in the queue"
ENOUGH: Final = "loading is a small part of its time already"
FULL: Final = "a load may not have more"
ALL: Final = "no more of them wait"


def fewest_gpu_s(lanes: Iterable[Lane]) -> float:
    """Return GPU seconds of all runs if each key had as few loads as it can have."""
    keys: dict[object, list[Lane]] = {}
    for lane in lanes:
        keys.setdefault(lane.key, []).append(lane)
    total = 0.0
    for same in keys.values():
        runs = [run for lane in same for run in lane.runs]
        loads = ceil(len(runs) / max(lane.most for lane in same))
        seconds = sum(run.seconds for run in runs) + loads * min(run.load_s for run in runs)
        total += _units(same[0]) * seconds
    return total


def _units(lane: Lane) -> int:
    return max(1, lane.gpus)


def _first(lane: Lane, count: int) -> list[Waiting]:
    return [lane.runs[n] for n in range(min(count, len(lane.runs)))]


def _least(lane: Lane) -> int:
    """The fewest runs of the next load, so that a lane does not become too many loads."""
    return max(1, len(lane.runs) - lane.most * (lane.allowed - 1))
