"""The state of the places where runs are executed: active orders, GPUs, problems.

A place that cannot be reached has a problem and raises no error; the wait for a place is short.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from loguru import logger

from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.backends.owner import owner_shown
from cosmos_pipelines.backends.registry import backend_for, host_names, host_of, place_words
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import BackendError, CosmosError, Unreachable
from cosmos_pipelines.hosts.orders import of_host
from cosmos_pipelines.remote.gpu import GpuState
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import AUTO, LOCAL

LOOK_S: Final = 5.0
"""Seconds that a place may take to answer, once connected."""


@dataclass
class BackendState:
    """The state of a backend."""

    backend: str
    host: str | None
    orders: tuple[str, ...] | None = None
    """Ids of the active orders; None if unknown."""
    gpus: GpuState = field(default_factory=lambda: GpuState(()))
    problem: str | None = None
    """Why the state is unknown."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        gpus = self.gpus.as_dict()
        name = place_words(self.backend, self.host)
        answer = {"backend": self.backend, "host": self.host, "problem": self.problem, "name": name}
        return answer | {"gpus": gpus["gpus"], "gpu_problem": gpus["problem"]}


@dataclass(frozen=True)
class Left:
    """What was left behind, and what to do about it.

    A lost run, a run whose order vanished, a run that was given up though its order still runs, or
    a stray order, which belongs to no run.
    """

    what: Literal["lost", "vanished", "given up", "stray"]
    id: str
    """The id of the run; of the order if it is stray."""
    backend: str
    found: str
    do: str
    """The command to give."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def places_of(settings: Settings, runs: Iterable[Run]) -> list[str]:
    """Return the names of the places of new runs, of these runs, and of all GPU hosts."""
    names = [settings.execution.backend, *(run.backend for run in runs)]
    places = dict.fromkeys(LOCAL if name == AUTO else name for name in names)
    return list(dict.fromkeys([*places, *host_names(settings)]))


def look_at(settings: Settings, names: Sequence[str]) -> dict[str, BackendState]:
    """Return the state of these backends, asked at the same time."""
    places = {name: BackendState(name, host_of(settings, name)) for name in names}
    asked = [
        threading.Thread(target=_asking(settings, place), name=f"look-{name}", daemon=True)
        for name, place in places.items()
    ]
    started = time.monotonic()
    for thread in asked:
        thread.start()
    for thread, name in zip(asked, names, strict=True):
        within_s = LOOK_S + _connect_s(settings, name)
        thread.join(max(0, started + within_s - time.monotonic()))
        if thread.is_alive():  # it may still write into the state that it has, so make a new one
            places[name] = BackendState(name, places[name].host)
            places[name].problem = f"The backend {name} did not answer within {within_s:g} s."
    return places


def _connect_s(settings: Settings, name: str) -> float:
    place = settings.places.get(name)
    return (settings.remote if place is None else place.remote).connect_timeout_s


def _asking(settings: Settings, place: BackendState) -> Callable[[], None]:
    def ask() -> None:
        try:
            with closing(backend_for(settings, place.backend)) as backend:
                ask_place(backend, place)
        except CosmosError as e:
            place.problem = str(e)
        except Exception as e:  # noqa: BLE001 - a thread of its own; whoever asked is told
            logger.opt(exception=e).debug("{place} was not looked at.", place=place.backend)
            place.problem = f"{type(e).__name__}: {e}"

    return ask


def ask_place(backend: Backend, place: BackendState) -> None:
    """Read the orders and the GPUs; the GPUs also if Docker cannot be used."""
    try:
        # The orders of a host's set-up belong to no run, but are not stray.
        place.orders = tuple(order for order in backend.active() if not of_host(order))
    except BackendError as e:
        place.problem = str(e)
        if isinstance(e, Unreachable):
            return
    place.gpus = backend.gpus()


def left_behind(
    places: Mapping[str, BackendState],
    runs: Sequence[Run],
    lost: Collection[str],
    unowned: Collection[str],
    ended: Mapping[str, Run],
) -> list[Left]:
    """Return runs without a process, runs without an order, orders without a run. Pure.

    Args:
        places: the state of the places.
        runs: the runs that were active before and after the places were asked.
        lost: ids of the runs whose process has ended.
        unowned: active orders that belong to no active run.
        ended: for an unowned order, its run that has ended without a result.
    """
    found = []
    for run in runs:
        place = places.get(run.backend)
        orders = place.orders if place else None
        if run.status == "running" and orders is not None and run.batch_id not in orders:
            found.append(_vanished(run, run.id in lost))
        elif run.id in lost:
            sentence = f"says {run.status}, but the process that executed it is gone"
            found.append(Left("lost", run.id, run.backend, sentence, f"cosmos run {run.id}"))
    for place in places.values():
        unowned_here = [order for order in place.orders or () if order in unowned]
        found += [_unowned(order, place, ended.get(order)) for order in unowned_here]
    return found


def _vanished(run: Run, lost: bool) -> Left:
    sentence = f"says running, but its order does not run on {run.host or 'this machine'}"
    if lost:
        return Left("vanished", run.id, run.backend, sentence, f"cosmos run {run.id}")
    sentence += f"; {owner_shown(run.leased_by)} should notice this within seconds"
    return Left("vanished", run.id, run.backend, sentence, f"cosmos kill {run.id}")


def _unowned(order: str, place: BackendState, run: Run | None) -> Left:
    where = place.host or "this machine"
    if run is None:
        sentence = f"runs on {where} and belongs to no run"
        return Left("stray", order, place.backend, sentence, "cosmos kill --stray")
    why = f"{run.status}, {run.error_kind}" if run.status == "failed" else run.status
    sentence = f"says {why}, but its order {order} still runs on {where}"
    do = f"cosmos run {run.id}" if run.status == "failed" else f"cosmos kill {run.id}"
    return Left("given up", run.id, place.backend, sentence, do)
