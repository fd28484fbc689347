"""Which places could take a run: the best first, and why the others cannot.

A run that names its place waits for it. A run for any place (`auto`) goes to one that is up, has
the engine, the GPUs and the memory, and all labels of `[queue] labels`; of those the cheapest comes
first, then one that has its scene already, then the first of the settings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cosmos_pipelines.catalog.pauses import place_scope
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import shown
from cosmos_pipelines.runs.known_places import PlaceState
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import AUTO, LOCAL, Place


@dataclass(frozen=True)
class Needs:
    """What a load needs of its place."""

    engine: str
    backend: str = AUTO
    """The place that was ordered, or `auto`."""
    gpus: int = 1
    memory_mib: int = 0
    """Memory that each of its GPUs must have."""


@dataclass(frozen=True)
class Choice:
    """Where a run may go now."""

    places: tuple[str, ...]
    """The best first; empty: it waits."""
    refused: Mapping[str, str]
    """By the name of each other place, why it cannot take the run."""

    @property
    def said(self) -> str:
        """Why no place can take the run, as one sentence; empty if one can."""
        if self.places:
            return ""
        if len(self.refused) == 1:
            ((name, why),) = self.refused.items()
            return f"It waits for {name}, which {why}."
        whole = "; ".join(f"{name} {why}" for name, why in self.refused.items())
        return f"No place can take it now: {whole}." if whole else "No place is set."


def places_for(
    settings: Settings,
    needs: Needs,
    known: Mapping[str, PlaceState],
    *,
    paused: Collection[str] = (),
    with_scene: Collection[str] = (),
    now: datetime | None = None,
) -> Choice:
    """Return the places that may take such a load now.

    Args:
        settings: of the project.
        needs: what the load needs.
        known: see `known_places`.
        paused: places where nothing is started.
        with_scene: places where a run of the same scene was started before.
        now: the time.
    """
    now = now or datetime.now(UTC)
    any_place = needs.backend == AUTO
    names = list(settings.places) if any_place else [needs.backend]
    able, refused = list[str](), dict[str, str]()
    for name in names:
        state = known.get(name, PlaceState(name))
        why = _why_not_now(settings, state, paused, now, strict=any_place)
        if why is None and any_place:
            why = why_never(settings, settings.places[name], state, needs)
        if why is None:
            able.append(name)
        else:
            refused[name] = why
    order = {name: number for number, name in enumerate(settings.places)}

    def rank(name: str) -> tuple[float, bool, int]:
        price = settings.places[name].gpu_hour or 0.0
        return price, name not in with_scene, order[name]

    return Choice(tuple(sorted(able, key=rank)), refused)


def paused_places(catalog: Catalog) -> set[str]:
    """Return the places that are paused by themselves, not with the whole queue."""
    scopes = {pause.scope for pause in catalog.list_pauses()}
    start = place_scope("")
    return {scope.removeprefix(start) for scope in scopes if scope.startswith(start)}


def why_never(settings: Settings, place: Place, state: PlaceState, needs: Needs) -> str | None:
    """Why a place cannot take runs for any place that need this, as it was seen last; None: it can.

    The sentence goes on after the name of the place.
    """
    if missing := [label for label in settings.queue.labels if label not in place.labels]:
        return f"has no label {', '.join(missing)} ([queue] labels)"
    if needs.engine not in state.engines:
        return f"has not been asked about {shown(needs.engine, quoted=False)} yet"
    if why := state.engines[needs.engine]:
        return f"cannot run {needs.engine}: {why.rstrip('.')}"
    if needs.gpus == 0 or not state.sees_gpus:
        return None
    if len(state.gpus) < needs.gpus:
        has = f"{len(state.gpus)} GPU{'' if len(state.gpus) == 1 else 's'}"
        return f"has {has if state.gpus else 'no GPU'}, and {needs.gpus} are needed"
    enough = [gpu for gpu in state.gpus if (gpu.memory_mib or 0) >= needs.memory_mib]
    if len(enough) < needs.gpus:
        most = max(gpu.memory_mib or 0 for gpu in state.gpus)
        return f"has GPUs of {_gib(most)}, and {_gib(needs.memory_mib)} are needed"
    return None


def _why_not_now(
    settings: Settings,
    state: PlaceState,
    paused: Collection[str],
    now: datetime,
    *,
    strict: bool,
) -> str | None:
    if state.name not in settings.places:
        return "is not in cosmos.toml any more"
    if state.name in paused:
        return "is paused"
    if state.up is False:
        seconds = (now - state.away_since).total_seconds() if state.away_since else 0
        away = f"has been away for {_ago(seconds)}" if seconds >= 1 else "is away"
        return f"{away}: {(state.said or 'it does not answer').rstrip('.')}"
    if state.up is None and strict and state.name != LOCAL:
        return "has not answered yet"
    return None


def _ago(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _gib(mib: int) -> str:
    return f"{mib / 1024:.0f} GiB"
