"""Where loads can go, so that no GPU waits and little is bound early.

A GPU has one load that runs, and one that is prepared (uploaded, its process up) when that one is
about to end: what is prepared cannot be moved in the queue any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.batching import Slot
from cosmos_pipelines.catalog.records import Load, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.known_places import PlaceState, known_places
from cosmos_pipelines.runs.remaining import Remaining
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import LOCAL

_HOLDS_GPU: Final = frozenset({"pending", "uploading", "running"})
"""A load with such a run has its GPUs, or waits for them."""
UNKNOWN_S: Final = 60.0
"""Seconds after which a load is taken to end where nothing is known."""


@dataclass
class _Gpu:
    """One GPU of a place, or one position for orders without a GPU."""

    loads: int = 0
    """Loads that have it or are prepared for it."""
    runs_for_s: float | None = 0.0
    """Seconds until the load that runs ends; None: nothing tells."""
    starts: bool = False
    """The load that it is for has not started yet."""


@dataclass(frozen=True)
class Room:
    """The GPUs of all places that are up, and which of them may be given another load now."""

    slots: list[Slot]
    open: frozenset[int]
    """Positions in `slots`."""

    @property
    def places(self) -> set[str]:
        """The places with a GPU that may be given another load."""
        return {self.slots[number].place for number in self.open}


def room_of(catalog: Catalog, settings: Settings) -> Room:
    """Return where loads can go now. A place that is away has no room: its runs wait for it."""
    known = known_places(settings)
    loads = catalog.open_loads()
    members = catalog.runs_of_loads([load.id for load in loads])
    held = {
        load.id: [run for run in members if run.load_id == load.id and run.status in _HOLDS_GPU]
        for load in loads
    }
    busy = [load for load in loads if held[load.id] or load.state == "claimed"]
    left_s = _left(catalog, settings, busy, held)
    slots: list[Slot] = []
    open_ = set[int]()
    for name in dict.fromkeys([*settings.places, *catalog.waiting_backends()]):
        state = known.get(name, PlaceState(name))
        if state.up is False:
            continue
        gpus = [_Gpu() for _ in range(slots_of(settings, name, state))]
        _give(gpus, [load for load in busy if load.place == name], left_s)
        for number, gpu in enumerate(gpus):
            if _may_have_another(gpu, settings.queue.prepare_s):
                open_.add(len(slots))
            free_at = UNKNOWN_S if gpu.runs_for_s is None else gpu.runs_for_s
            slots.append(Slot(name, (number,), free_at))
    return Room(slots, frozenset(open_))


def slots_of(settings: Settings, name: str, state: PlaceState | None = None) -> int:
    """Return how many orders of one GPU a place executes at once, as far as it is known."""
    if name == LOCAL:
        return settings.execution.local_slots
    place = settings.places.get(name)
    if place is not None and place.slurm is not None:
        return place.slurm.most_gpus
    if place is not None and place.gpus != "all":
        return len(place.gpus)
    return max(1, len(state.gpus)) if state else 1


def _left(
    catalog: Catalog, settings: Settings, busy: Sequence[Load], held: Mapping[str, Sequence[Run]]
) -> dict[str, float | None]:
    """Seconds until the loads that run end, by load; None: nothing tells."""
    running = [load for load in busy if load.state == "started"]
    if not running:
        return {}
    remaining = Remaining(catalog, settings, [run for load in running for run in held[load.id]])
    return {load.id: remaining.order_left_s(held[load.id]) for load in running}


def _give(gpus: list[_Gpu], loads: Sequence[Load], left_s: Mapping[str, float | None]) -> None:
    """Note which GPUs the open loads of a place have, those that run first."""
    for load in sorted(loads, key=lambda load: load.state != "started"):
        ready = sorted(gpus, key=lambda gpu: (gpu.loads, gpu.runs_for_s or 0.0))
        for gpu in ready[: max(1, load.gpus)]:
            gpu.starts |= load.state == "claimed" and gpu.loads == 0
            gpu.runs_for_s = left_s.get(load.id) if gpu.loads == 0 else None
            gpu.loads += 1


def _may_have_another(gpu: _Gpu, prepare_s: float) -> bool:
    if gpu.loads == 0:
        return True
    soon = gpu.runs_for_s is None or gpu.runs_for_s <= prepare_s
    return gpu.loads == 1 and not gpu.starts and soon
