"""Looks at the places where loads run, in the background: what is found is kept for planners."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from loguru import logger

from cosmos_pipelines.backends.at_once import at_once
from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.backends.registry import (
    backend_for,
    backend_on,
    carrier_of,
    host_names,
    is_remote,
)
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES, Engine
from cosmos_pipelines.errors import BackendError, CosmosError, SettingsError, Unreachable
from cosmos_pipelines.files import room_for
from cosmos_pipelines.hosts import orders as host_orders
from cosmos_pipelines.hosts.records import Smoke, read_set_up
from cosmos_pipelines.hosts.setup_script import installed_argv
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.disk import free_bytes
from cosmos_pipelines.runs.engine_choice import missing_here
from cosmos_pipelines.runs.known_places import (
    KnownGpu,
    PlaceState,
    known_places,
    note_away,
    place_file,
    remember,
    seen_last,
)
from cosmos_pipelines.runs.places_for import Needs, paused_places, places_for
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import Place

if TYPE_CHECKING:
    from cosmos_pipelines.backends.ssh.backend import SshBackend

FRESH_S: Final = 60.0
"""Seconds after which a place is looked at again."""
AWAY_S: Final = 10.0
"""The same of a place that was away."""
LOOK_S: Final = 20.0
"""Seconds for one program on a host."""


def look_again(settings: Settings, older_s: float = FRESH_S) -> None:
    """Begin to look at the places that nobody has looked at for `older_s` seconds; return at once.

    At those that are away, sooner.

    Each has a thread of its own, and one process looks at a place at a time.
    """
    for name, place in settings.places.items():
        if _due(settings, place, older_s):
            threading.Thread(
                target=_look_alone,
                args=(settings, place, older_s),
                name=f"look-{name}",
                daemon=True,
            ).start()


def look_now(settings: Settings, names: Iterable[str] | None = None) -> None:
    """Look at these places, by default at all, at the same time; return when all are looked at."""
    chosen = list(settings.places if names is None else names)
    found = at_once(chosen, lambda name: _look_and_keep(settings, settings.places[name]))
    for error in found.values():
        if isinstance(error, CosmosError):
            raise error


def list_places(catalog: Catalog, settings: Settings, engine: Engine) -> list[dict[str, Any]]:
    """Return what is known of each place: see `CosmosAPI.list_places`."""
    known = known_places(settings)
    needs = Needs(engine.name, gpus=0 if engine.simulated else 1, memory_mib=engine.memory_mib())
    choice = places_for(settings, needs, known, paused=paused_places(catalog))
    return [
        {
            **known[name].as_dict(),
            "kind": place.kind,
            "host": place.address,
            "gpu_hour": place.gpu_hour,
            "labels": list(place.labels),
            "refused": choice.refused.get(name),
        }
        for name, place in settings.places.items()
    ]


def _due(settings: Settings, place: Place, older_s: float) -> bool:
    state = seen_last(settings, place)
    at, older_s = state.looked_at, older_s if state.up else min(older_s, AWAY_S)
    return at is None or not 0 <= (datetime.now(UTC) - at).total_seconds() < older_s


def _look_alone(settings: Settings, place: Place, older_s: float) -> None:
    try:
        with _locked(settings, place) as mine:
            if mine and _due(settings, place, older_s):
                _look_and_keep(settings, place)
    except CosmosError as e:
        logger.warning("What is known of {place} was not kept: {why}", place=place.name, why=e)
    except Exception:  # noqa: BLE001 - a thread of its own; the next look may be better
        logger.exception("{place} was not looked at.", place=place.name)


@contextmanager
def _locked(settings: Settings, place: Place) -> Iterator[bool]:
    """Yield whether no other process or thread looks at this place; the lock ends with us."""
    file = place_file(settings, place.name).with_suffix(".lock")
    with room_for(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _look_and_keep(settings: Settings, place: Place) -> None:
    try:
        remember(settings, place, look_at_place(settings, place))
    except CosmosError as e:
        note_away(settings, place.name, str(e))


def look_at_place(settings: Settings, place: Place) -> PlaceState:
    """Ask a place for its GPUs and engines.

    Raises:
        CosmosError: it cannot be reached, or nothing can be started there.
    """
    if is_remote(settings, place.name):
        hasty = replace(place, remote=place.remote.model_copy(update={"wait_s": 0}))
        with closing(backend_on(settings, hasty)) as host:
            engines, free = _ready_on_host(settings, place, host)
            return _looked(place, host, engines, free)
    with closing(backend_for(settings, place.name)) as backend:
        return _looked(place, backend, _here(settings), None)


def _looked(
    place: Place, backend: Backend, engines: Mapping[str, str | None], free: int | None
) -> PlaceState:
    backend.active()  # raises an error where its carrier does not work
    state = backend.gpus()
    gpus = tuple(
        KnownGpu(gpu.index, gpu.name, gpu.memory_total_mib)
        for gpu in state.gpus
        if gpu.fault is None and (place.gpus == "all" or gpu.index in place.gpus)
    )
    now = datetime.now(UTC)
    sees = backend.sees_gpus
    return PlaceState(place.name, True, gpus, sees, engines, now, None, state.problem, free)


def _engines(settings: Settings) -> Iterator[Engine]:
    for name in sorted(ENGINES):
        with suppress(CosmosError):  # doctor tells what is wrong with an engine
            yield settings.engine(name)


def _here(settings: Settings) -> dict[str, str | None]:
    """Return why each engine cannot run on this machine.

    One that has no files by which it can be found here is left to the hosts, if there are any.
    """
    hosts = host_names(settings)

    def why_not(engine: Engine) -> str | None:
        if hosts and not engine.directories():
            return "it is left to the GPU hosts"
        return "; ".join(missing_here(settings, engine).values()) or None

    return {engine.name: why_not(engine) for engine in _engines(settings)}


def _ready_on_host(
    settings: Settings, place: Place, backend: SshBackend
) -> tuple[dict[str, str | None], int | None]:
    """Return why each engine cannot run on a host, and the room of its disk in bytes, if known.

    An engine can run by its set-up and the needs of its carrier.
    """
    engines = list(_engines(settings))
    code = {
        engine.name: next(d.source for d in engine.directories() if d.name == "code")
        for engine in engines
        if engine.setup
    }
    words = [word for pair in code.items() for word in pair]
    found = backend.host.ask(installed_argv(backend.host.remote_dir, *words), timeout_s=LOOK_S)
    ready = {
        engine.name: _not_set_up(engine, found.parts) or _lacks(settings, place, backend, engine)
        for engine in engines
    }
    return ready, free_bytes(found.parts.get("free", ""))


def _not_set_up(engine: Engine, parts: Mapping[str, str]) -> str | None:
    if engine.setup is None:
        return None
    recorded = read_set_up(parts.get(f"record.{engine.name}", ""))
    if recorded is not None and not (recorded.smoke or Smoke()).passed:
        return "its smoke test has failed there"
    if f"code.{engine.name}" not in parts:
        return "it is not set up there"
    return None


def _lacks(settings: Settings, place: Place, backend: SshBackend, engine: Engine) -> str | None:
    """Return what a host lacks that the carrier needs for an order of this engine."""
    if engine.setup:
        order = host_orders.smoke_order(engine.name, engine.setup, engine.directories(), "look")
    else:
        order = Order(
            id="look",
            run_ids=(),
            engine=engine.name,
            model_type="smoke",
            argv=("true",),
            inputs={},
            expected=(),
            gpus=0,
        )
    carrier = carrier_of(settings, place.name)
    try:
        done = backend.host.connection.run(carrier.needs(order), timeout_s=LOOK_S)
        answer = done.stdout.decode(errors="replace") if done.exit_code == 0 else None
        carrier.prepare(order, backend.host.host, answer, done.stderr.decode(errors="replace"))
    except Unreachable:
        raise
    except (BackendError, SettingsError) as e:
        return e.message
    return None
