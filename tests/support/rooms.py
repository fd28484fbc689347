"""Room for loads, as if nothing ran."""

from __future__ import annotations

from cosmos_pipelines.batching import Slot
from cosmos_pipelines.runs.room import Room


def free_room(gpus: int = 1, place: str = "local") -> Room:
    """A place with so many free GPUs."""
    return Room([Slot(place, (number,)) for number in range(gpus)], frozenset(range(gpus)))
