"""Waiting runs, sorted into lanes whose runs are alike; and the order in which lanes come. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice
from math import ceil
from typing import Final

from cosmos_pipelines.batching.loads import Waiting

LOOK: Final = 16
"""Lanes at which a mixed load looks."""
SLICE: Final = 4
"""A plan has at most as many loads as if each lane were cut into pieces of this many runs."""


@dataclass(eq=False, slots=True)
class Lane:
    """Runs with the same key, places, GPUs and limit, the earliest first."""

    runs: deque[Waiting]
    key: Hashable
    places: tuple[str, ...]
    gpus: int
    most: int
    allowed: int = field(init=False)
    """Loads that may still be made of it."""

    def __post_init__(self) -> None:
        count = len(self.runs)
        self.allowed = max(self.loads_of(count), ceil(count / min(SLICE, self.most)))

    def loads_of(self, count: int) -> int:
        """Return the fewest loads for so many of its runs."""
        return ceil(count / self.most)

    @property
    def fewest(self) -> int:
        """The fewest loads for the runs that are left."""
        return self.loads_of(len(self.runs))

    @property
    def turn(self) -> tuple[float, str]:
        """The place of its first run in the queue."""
        return self.runs[0].turn, self.runs[0].run_id


def lanes_of(waiting: Iterable[Waiting]) -> list[Lane]:
    """Sort runs into lanes."""
    found: dict[Hashable, list[Waiting]] = {}
    for run in waiting:
        own = (run.engine, run.model_type, run.key, run.places, run.gpus, run.max_batch)
        found.setdefault(own, []).append(run)
    return [
        Lane(
            deque(sorted(runs, key=lambda run: (run.turn, run.run_id))),
            (runs[0].engine, runs[0].model_type, runs[0].key, runs[0].gpus),
            runs[0].places,
            runs[0].gpus,
            max(1, runs[0].max_batch),
        )
        for runs in found.values()
    ]


class Line:
    """All lanes by the turn of their first runs, and by places."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._heaps: dict[tuple[str, ...], list[tuple[tuple[float, str], Lane]]] = {}
        self._by_key: dict[Hashable, list[Lane]] = {}
        self._fewest: dict[tuple[str, ...], int] = {}
        self._by_mixed: dict[Hashable, deque[Lane]] = {}
        for lane in sorted(lanes, key=lambda lane: lane.turn):
            self._by_key.setdefault(lane.key, []).append(lane)
            self._fewest[lane.places] = self._fewest.get(lane.places, 0) + lane.fewest
            if (mixed := lane.runs[0].mixed) is not None:
                self._by_mixed.setdefault((mixed.key, lane.gpus), deque()).append(lane)
            self.put(lane)

    def put(self, lane: Lane) -> None:
        """Put a lane in by its first run, unless it has none left."""
        if lane.runs:
            heappush(self._heaps.setdefault(lane.places, []), (lane.turn, lane))

    def first(self) -> Lane | None:
        """Take the lane out whose first run is the earliest of all."""
        tops = [heap for heap in self._heaps.values() if self._clean(heap)]
        if not tops:
            return None
        return heappop(min(tops, key=lambda heap: heap[0][0]))[1]

    def next_turn(self, place: str) -> float | None:
        """Return the turn of the earliest run of other lanes that may be executed at a place."""
        turns = [
            heap[0][0][0]
            for places, heap in self._heaps.items()
            if place in places and self._clean(heap)
        ]
        return min(turns, default=None)

    def others(self, lane: Lane, place: str) -> Iterator[Lane]:
        """Return the other lanes of the same key that may be executed at a place."""
        for other in self._by_key[lane.key]:
            if other is not lane and other.runs and place in other.places:
                yield other

    def mixable(self, key: Hashable, gpus: int, place: str) -> list[Lane]:
        """Return the first lanes that have a key of mixed loads and may be executed at a place."""
        lanes = self._by_mixed.get((key, gpus), deque())
        while lanes and not lanes[0].runs:
            lanes.popleft()
        return [lane for lane in islice(lanes, LOOK) if lane.runs and place in lane.places]

    def loads_at(self, places: tuple[str, ...]) -> int:
        """Return the fewest loads that have still to be made of runs for these places."""
        wanted = set(places)
        return sum(n for those, n in self._fewest.items() if wanted & set(those))

    def has_mates(self, lane: Lane) -> bool:
        """Whether another waiting run has the key of a lane with one run."""
        return any(other is not lane and other.runs for other in self._by_key[lane.key])

    def take(self, lane: Lane, count: int) -> list[Waiting]:
        """Take the first runs of a lane out."""
        before = lane.fewest
        taken = [lane.runs.popleft() for _ in range(count)]
        self._fewest[lane.places] += lane.fewest - before
        return taken

    @staticmethod
    def _clean(heap: list[tuple[tuple[float, str], Lane]]) -> bool:
        """Whether a lane is left, after those are thrown away that have changed since."""
        while heap and (not heap[0][1].runs or heap[0][1].turn != heap[0][0]):
            _, lane = heappop(heap)
            if lane.runs:
                heappush(heap, (lane.turn, lane))
        return bool(heap)
