"""How many more loads each place may be given now, so that no GPU waits and little is bound early.

A place has one load a GPU that runs, and one that is prepared (uploaded, its process up) when the
first of those that run is about to end: what is prepared cannot be moved in the queue any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cosmos_pipelines.backends.registry import backend_names
from cosmos_pipelines.catalog.records import Load, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.known_places import PlaceState, known_places
from cosmos_pipelines.runs.remaining import Remaining
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import LOCAL

_HOLDS_GPU = frozenset({"pending", "uploading", "running"})
"""A load with such a run has its GPUs, or waits for them."""


def room_of(catalog: Catalog, settings: Settings) -> dict[str, int]:
    """The GPUs of each place that have no load which runs or is prepared, by place.

    None of a place that is away: what waits for it waits in the queue.
    """
    known = known_places(settings)
    loads = catalog.open_loads()
    members = catalog.runs_of_loads([load.id for load in loads])
    busy: dict[str, list[Load]] = {}
    for load in loads:
        held = [run for run in members if run.load_id == load.id and run.status in _HOLDS_GPU]
        if held or load.state == "claimed":
            busy.setdefault(load.place, []).append(load)
    names = dict.fromkeys([*backend_names(settings), *catalog.waiting_backends()])
    room = {}
    for name in names:
        state = known.get(name, PlaceState(name))
        if state.up is False:
            room[name] = 0
            continue
        slots = _slots(settings, name, state)
        mine = busy.get(name, [])
        free = slots - sum(load.gpus for load in mine)
        room[name] = max(0, free)
        if -slots < free <= 0 and _one_ends_soon(catalog, settings, mine, members):
            room[name] = 1
    return room


def _slots(settings: Settings, name: str, state: PlaceState) -> int:
    if name == LOCAL:
        return settings.execution.local_slots
    place = settings.places.get(name)
    if place is not None and place.slurm is not None:
        return place.slurm.most_gpus
    if place is not None and place.gpus != "all":
        return len(place.gpus)
    return max(1, len(state.gpus))


def _one_ends_soon(
    catalog: Catalog, settings: Settings, loads: Iterable[Load], members: Sequence[Run]
) -> bool:
    """Whether one of the loads that run may end within `[queue] prepare_s`."""
    remaining = Remaining(catalog, settings, members)
    for load in loads:
        if load.state == "started":
            mine = [run for run in members if run.load_id == load.id and run.status in _HOLDS_GPU]
            left = [remaining.left_s(run) for run in mine]
            known = [seconds for seconds in left if seconds is not None]
            if len(known) < len(left) or sum(known) <= settings.queue.prepare_s:
                return True
    return False
