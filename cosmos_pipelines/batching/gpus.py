"""When and where GPUs are free, as loads are planned on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cosmos_pipelines.batching.loads import Slot


@dataclass(eq=False, slots=True)
class Unit:
    """One GPU, or one position without a GPU."""

    slot: int
    free_at: float


@dataclass(slots=True)
class Spot:
    """Where and when a load can start."""

    place: str
    units: list[Unit]
    start: float
    until: float | None = None
    """When it must have ended; None: no limit."""


class Gpus:
    """The GPUs of all places."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._units: dict[str, list[Unit]] = {}
        self._gaps: dict[str, list[Spot]] = {}
        for index, slot in enumerate(slots):
            units = self._units.setdefault(slot.place, [])
            count = max(1, len(slot.gpus))
            units += [Unit(index, max(0.0, slot.free_at)) for _ in range(count)]

    def count(self, place: str) -> int:
        """Return the number of GPUs of a place."""
        return len(self._units.get(place, ()))

    def soonest(self, places: Iterable[str], gpus: int) -> Spot | None:
        """Return where a load can start first; None: no place has so many GPUs.

        Of equal starts that in the first of the places.
        """
        best: Spot | None = None
        for place in places:
            units = self._units.get(place, ())
            if len(units) < gpus:
                continue
            start = sorted(unit.free_at for unit in units)[gpus - 1]
            ready = [unit for unit in units if unit.free_at <= start]
            ready.sort(key=lambda unit: (-unit.free_at, unit.slot))
            if best is None or start < best.start:
                best = Spot(place, ready[:gpus], start)
        return best

    def gap(self, places: Iterable[str], before: float, seconds: float) -> Spot | None:
        """Return an idle GPU that waits for others of its load, and is free for long enough."""
        found = [
            gap
            for place in places
            for gap in self._gaps.get(place, ())
            if gap.until is not None and gap.start < before and gap.until - gap.start >= seconds
        ]
        return min(found, key=lambda gap: (gap.start, gap.place), default=None)

    def use(self, spot: Spot, end: float) -> None:
        """Say that a load is executed on a spot until `end`."""
        if spot.until is not None:
            spot.start = end
            return
        for unit in spot.units:
            if unit.free_at < spot.start:
                gap = Spot(spot.place, [unit], unit.free_at, spot.start)
                self._gaps.setdefault(spot.place, []).append(gap)
            unit.free_at = end

    def free_before(self, places: Iterable[str], when: float) -> int:
        """Return how many GPUs of these places become free before a moment."""
        units = (unit for place in places for unit in self._units.get(place, ()))
        return sum(unit.free_at < when for unit in units)
