"""The places where runs are executed, looked at now: what runs there, their GPUs, what is wrong.

A place that cannot be reached is an answer like another, and none is waited for long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import BackendError, CosmosError, Unreachable
from cosmos_pipelines.hosts.orders import of_host
from cosmos_pipelines.remote.gpu import GpuState
from cosmos_pipelines.settings import Settings

LOOK_S: Final = 5.0
"""How long a place may take to answer, once it is connected to."""
HOST_BACKEND: Final = "ssh_docker"


@dataclass
class Place:
    """A backend as it was found."""

    backend: str
    host: str | None
    orders: tuple[str, ...] | None = None
    """What runs there; None if nobody could tell."""
    gpus: GpuState = field(default_factory=lambda: GpuState(()))
    problem: str | None = None
    """Why it could not be looked at."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        gpus = self.gpus.as_dict()
        told = {"backend": self.backend, "host": self.host, "problem": self.problem}
        return told | {"gpus": gpus["gpus"], "gpu_problem": gpus["problem"]}


@dataclass(frozen=True)
class Left:
    """Something that was left behind, and what to do about it."""

    what: Literal["lost", "zombie", "orphan"]
    id: str
    """Of the run; of the order for an orphan."""
    backend: str
    found: str
    do: str
    """A command."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def places_of(settings: Settings, runs: Iterable[Run]) -> list[str]:
    """Names of the backends to look at: the chosen one, those of runs in work, the GPU host's."""
    names = [settings.execution.backend, *(run.backend for run in runs)]
    return list(dict.fromkeys([*names, *([HOST_BACKEND] if settings.remote.host else [])]))


def look_at(settings: Settings, names: Sequence[str]) -> dict[str, Place]:
    """All these backends, asked at the same time."""
    host = settings.remote.host
    places = {name: Place(name, host if name == HOST_BACKEND else None) for name in names}
    within_s = LOOK_S + settings.remote.connect_timeout_s
    asked = [
        threading.Thread(target=_asking(settings, place), name=f"look-{name}", daemon=True)
        for name, place in places.items()
    ]
    for thread in asked:
        thread.start()
    for thread, name in zip(asked, names, strict=True):
        thread.join(within_s)
        if thread.is_alive():  # it may still write into its own; ours stays as it is
            places[name] = Place(name, places[name].host)
            places[name].problem = f"It did not answer within {within_s:g} s."
    return places


def _asking(settings: Settings, place: Place) -> Callable[[], None]:
    def ask() -> None:
        try:
            with closing(backend_for(settings, place.backend)) as backend:
                _ask(backend, place)
        except CosmosError as e:
            place.problem = str(e)

    return ask


def _ask(backend: Backend, place: Place) -> None:
    """The GPUs are told also where Docker cannot be used."""
    try:
        # Those of a host's set-up belong to no run, and are nobody's remains.
        place.orders = tuple(order for order in backend.active() if not of_host(order))
    except BackendError as e:
        place.problem = str(e)
        if isinstance(e, Unreachable):
            return
    place.gpus = backend.gpus()


def left_behind(
    places: Mapping[str, Place],
    runs: Sequence[Run],
    lost: Collection[str],
    unowned: Collection[str],
    given_up: Mapping[str, str],
) -> list[Left]:
    """Runs without a process, runs without a container, containers without a run. Pure.

    Args:
        places: as they were looked at.
        runs: in work since before the look.
        lost: ids of those whose process is gone.
        unowned: orders that run and belong to no run in work.
        given_up: of these, a run that can be executed again and goes on with it.
    """
    found = []
    for run in runs:
        place = places.get(run.backend)
        there = place.orders if place else None
        if run.status == "running" and there is not None and run.batch_id not in there:
            found.append(_zombie(run, run.id in lost))
        elif run.id in lost:
            said = f"says {run.status}, but the process that executed it is gone"
            found.append(Left("lost", run.id, run.backend, said, f"cosmos run {run.id}"))
    for place in places.values():
        mine = [order for order in place.orders or () if order in unowned]
        found += [_orphan(order, place, given_up.get(order)) for order in mine]
    return found


def _zombie(run: Run, lost: bool) -> Left:
    said = f"says running, but nothing of it runs on {run.host or 'this machine'}"
    if lost:
        return Left("zombie", run.id, run.backend, said, f"cosmos run {run.id}")
    said += f"; {run.leased_by} should notice it within seconds"
    return Left("zombie", run.id, run.backend, said, f"cosmos kill {run.id}")


def _orphan(order: str, place: Place, given_up: str | None) -> Left:
    where = place.host or "this machine"
    if given_up is not None:
        said = f"still runs on {where}; its run was given up before that ended"
        return Left("orphan", order, place.backend, said, f"cosmos run {given_up}")
    said = f"runs on {where} and belongs to no run"
    return Left("orphan", order, place.backend, said, "cosmos kill --orphans")
