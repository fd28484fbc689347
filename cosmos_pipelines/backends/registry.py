"""The backends by name: each is a place, and a carrier that runs orders there.

Another kind of carrier needs its own file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cosmos_pipelines.errors import SettingsError, nearest, shown
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import AUTO, LOCAL, SLURM, UNNAMED, Place

if TYPE_CHECKING:
    from cosmos_pipelines.backends.base import Backend
    from cosmos_pipelines.backends.carriers.base import Carrier
    from cosmos_pipelines.backends.ssh.backend import SshBackend


@dataclass(frozen=True)
class Kind:
    """A kind of backend: this machine, or a carrier of orders on a host."""

    here: Callable[[Settings], Backend] | None = None
    carrier: Callable[[Place], Carrier] | None = None
    named: bool = True
    """Whether the kind's name is a place too: this machine, or the host of `[remote]`."""


def _local(settings: Settings) -> Backend:
    from cosmos_pipelines.backends.local import LocalBackend

    return LocalBackend(
        settings.work, grace_s=settings.execution.grace_s, slots=settings.execution.local_slots
    )


def _docker(place: Place) -> Carrier:
    from cosmos_pipelines.backends.carriers.docker import DockerCarrier

    if place.gpus == "all":
        return DockerCarrier(place.docker)
    return DockerCarrier(place.docker.model_copy(update={"gpus": ",".join(map(str, place.gpus))}))


def _slurm(place: Place) -> Carrier:
    from cosmos_pipelines.backends.carriers.slurm.carrier import SlurmCarrier

    return SlurmCarrier(place)


BACKENDS: dict[str, Kind] = {
    LOCAL: Kind(here=_local),
    UNNAMED: Kind(carrier=_docker),
    SLURM: Kind(carrier=_slurm, named=False),
}
"""By the kind of a place."""


def backend_for(settings: Settings, name: str | None = None) -> Backend:
    """Return the backend called `name`, by default that of new runs; the caller closes it.

    Raises:
        SettingsError: there is no backend of this name, or no host is set for it.
    """
    place = place_of(settings, name or settings.execution.backend)
    kind = BACKENDS[place.kind]
    return kind.here(settings) if kind.here else backend_on(settings, place)


def place_of(settings: Settings, name: str) -> Place:
    """Return the place of this name. Raises SettingsError if there is none."""
    if name in settings.places:
        return settings.places[name]
    if _is_named_kind(name):
        return Place(name, name, settings.remote, settings.docker)
    if name == AUTO:
        raise SettingsError(
            "No place is chosen yet: the backend is `auto`, for which the queue chooses one.",
            hint="`cosmos ui` or `cosmos queue work` starts what waits in the queue.",
        )
    known = sorted(backend_names(settings))
    near = nearest(name, known, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    hint += f"Known: {', '.join(known)}."
    raise SettingsError(f"There is no backend {shown(name)}.", hint=hint)


def backend_names(settings: Settings) -> list[str]:
    """Return the names of all backends, in the order of the settings; then the kinds of ours."""
    return list(dict.fromkeys([*filter(_is_named_kind, BACKENDS), *settings.places]))


def is_backend(settings: Settings, name: str) -> bool:
    """Whether there is a backend of this name."""
    return name in settings.places or _is_named_kind(name)


def _is_named_kind(name: str) -> bool:
    return name in BACKENDS and BACKENDS[name].named


def is_remote(settings: Settings, name: str) -> bool:
    """Whether orders of this backend run on a host. Raises SettingsError."""
    return BACKENDS[place_of(settings, name).kind].carrier is not None


def host_of(settings: Settings, name: str) -> str | None:
    """Return the host (as in the settings) where a backend runs orders; None: this machine."""
    if not is_backend(settings, name) or not is_remote(settings, name):
        return None
    return place_of(settings, name).address


def place_words(name: str, host: str | None) -> str:
    """Return what users call a place: its host, by which the unnamed one is known, or its name.

    `host`: where the orders of a backend called `name` run; None: this machine, or not known yet.
    """
    if host is None or name == host:
        return name
    return host if name in BACKENDS else f"{name} ({host})"


def host_names(settings: Settings) -> list[str]:
    """Return the names of the backends on hosts that are set, that of new runs first."""
    names = [name for name in settings.places if is_remote(settings, name)]
    chosen = settings.execution.backend
    if host_of(settings, chosen) is None:
        return names
    hidden = {chosen} if chosen in settings.places else {UNNAMED}  # another kind for [remote]
    return [chosen, *(name for name in names if name not in hidden)]


def hosts_meant(settings: Settings, names: Sequence[str] = (), *, every: bool = False) -> list[str]:
    """Return the backends on hosts that a command means: those named, all, or the one of new runs.

    Raises:
        SettingsError: a name is no host of the settings, or no host is set.
    """
    there = host_names(settings)
    for name in names:
        if name not in there:
            near = nearest(name, there, 1)
            hint = f"Did you mean {near[0]}? " if near else ""
            hint += f"Hosts: {', '.join(there)}." if there else "No GPU host is set."
            raise SettingsError(f"There is no host {shown(name)}.", hint=hint)
    if names:
        return list(dict.fromkeys(names))
    return there if every and there else [host_backend_name(settings)]


def host_backend_name(settings: Settings) -> str:
    """Return the backend for the host that is meant where none is named.

    That is the one of new runs, or else the first one of the settings.
    """
    return next(iter(host_names(settings)), UNNAMED)


def host_place(settings: Settings, host: str | None = None) -> Place:
    """Return the place of a host, by default that of `host_backend_name`. Raises SettingsError."""
    (name,) = hosts_meant(settings, [] if host is None else [host])
    return place_of(settings, name)


def host_backend(settings: Settings, host: str | None = None) -> SshBackend:
    """Return the backend on a host, by default that of `host_backend_name`.

    Raises:
        SettingsError: no host is set, or there is none of this name.
    """
    return backend_on(settings, host_place(settings, host))


def carrier_of(settings: Settings, name: str) -> Carrier:
    """Return the carrier of a backend. Raises SettingsError if the backend uses no host."""
    return _carrier(place_of(settings, name))


def _carrier(place: Place) -> Carrier:
    make = BACKENDS[place.kind].carrier
    if make is None:
        raise SettingsError(f"The backend {place.name} runs orders on this machine, not on a host.")
    return make(place)


def backend_on(settings: Settings, place: Place) -> SshBackend:
    """Return the backend on the host of a place, whose tables may be other than in the settings.

    Raises:
        SettingsError: no host is set.
    """
    from cosmos_pipelines.backends.carriers.base import project_of
    from cosmos_pipelines.backends.ssh.backend import SshBackend

    return SshBackend(
        place.name,
        settings.ssh_target(place),
        place.remote.remote_dir,
        _carrier(place),
        project_of(settings.home),
        wait_s=place.remote.wait_s,
        grace_s=settings.execution.grace_s,
    )
