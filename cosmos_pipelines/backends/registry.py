"""The backends by name: each is a place, and a carrier that runs orders there.

Another carrier needs its own file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cosmos_pipelines.errors import SettingsError, shown
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from cosmos_pipelines.backends.base import Backend
    from cosmos_pipelines.backends.carriers.base import Carrier
    from cosmos_pipelines.backends.ssh.backend import SshBackend


@dataclass(frozen=True)
class Kind:
    """A kind of backend: this machine, or a carrier of orders on the host of `[remote]`."""

    here: Callable[[Settings], Backend] | None = None
    carrier: Callable[[Settings], Carrier] | None = None


def _local(settings: Settings) -> Backend:
    from cosmos_pipelines.backends.local import LocalBackend

    return LocalBackend(settings.work, grace_s=settings.execution.grace_s)


def _docker(settings: Settings) -> Carrier:
    from cosmos_pipelines.backends.carriers.docker import DockerCarrier

    return DockerCarrier(settings.docker)


BACKENDS: dict[str, Kind] = {"local": Kind(here=_local), "ssh_docker": Kind(carrier=_docker)}


def backend_for(settings: Settings, name: str | None = None) -> Backend:
    """Return the backend called `name`, by default that of new runs; the caller closes it.

    Raises:
        SettingsError: there is no backend of this name, or no host is set for it.
    """
    name = name or settings.execution.backend
    kind = _kind(name)
    return kind.here(settings) if kind.here else _on_host(settings, name)


def is_remote(name: str) -> bool:
    """Whether orders of this backend run on the host of `[remote]`. Raises SettingsError."""
    return _kind(name).carrier is not None


def host_of(settings: Settings, name: str) -> str | None:
    """Return the host (as in the settings) where a backend runs orders; None: this machine."""
    return settings.remote.host if name in BACKENDS and is_remote(name) else None


def host_backend_name(settings: Settings) -> str:
    """Return the backend for the host of `[remote]`: that of new runs, or else the first one."""
    chosen = settings.execution.backend
    if chosen in BACKENDS and is_remote(chosen):
        return chosen
    return next(name for name, kind in BACKENDS.items() if kind.carrier is not None)


def host_backend(settings: Settings) -> SshBackend:
    """Return the backend on the host of `[remote]`. Raises SettingsError if no host is set."""
    return _on_host(settings, host_backend_name(settings))


def carrier_of(settings: Settings, name: str) -> Carrier:
    """Return the carrier of a backend. Raises SettingsError if the backend uses no host."""
    make = _kind(name).carrier
    if make is None:
        raise SettingsError(f"The backend {name} runs orders on this machine, not on a host.")
    return make(settings)


def _kind(name: str) -> Kind:
    if name not in BACKENDS:
        raise SettingsError(
            f"There is no backend {shown(name)}.", hint=f"Known: {', '.join(sorted(BACKENDS))}."
        )
    return BACKENDS[name]


def _on_host(settings: Settings, name: str) -> SshBackend:
    from cosmos_pipelines.backends.carriers.base import project_of
    from cosmos_pipelines.backends.ssh.backend import SshBackend

    return SshBackend(
        name,
        settings.ssh_target,
        settings.remote.remote_dir,
        carrier_of(settings, name),
        project_of(settings.home),
        wait_s=settings.remote.wait_s,
        grace_s=settings.execution.grace_s,
    )
