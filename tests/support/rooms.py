"""Room for loads, as if nothing ran."""

from __future__ import annotations

from cosmos_pipelines.batching import Slot
from cosmos_pipelines.runs.room import Room


def free_room(gpus: int = 1) -> Room:
    """This machine, with room for so many orders."""
    return rooms(local=gpus)


def rooms(**gpus: int) -> Room:
    """Places with so many free GPUs."""
    slots = [Slot(name, (number,)) for name, count in gpus.items() for number in range(count)]
    return Room(slots, frozenset(range(len(slots))))
