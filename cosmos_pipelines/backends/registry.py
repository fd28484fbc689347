"""The backends by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.errors import SettingsError, shown
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from cosmos_pipelines.backends.base import Backend

HOST_BACKEND: Final = "ssh_docker"
LOCAL_BACKEND: Final = "local"


def _local(settings: Settings) -> Backend:
    from cosmos_pipelines.backends.local import LocalBackend

    return LocalBackend(settings.work, grace_s=settings.execution.grace_s)


def _ssh_docker(settings: Settings) -> Backend:
    from cosmos_pipelines.backends.ssh_docker.backend import SshDockerBackend
    from cosmos_pipelines.backends.ssh_docker.container import project_of

    return SshDockerBackend(
        settings.ssh_target,
        settings.remote.remote_dir,
        settings.docker,
        project_of(settings.home),
        wait_s=settings.remote.wait_s,
        grace_s=settings.execution.grace_s,
    )


BACKENDS: dict[str, Callable[[Settings], Backend]] = {"local": _local, "ssh_docker": _ssh_docker}


def backend_for(settings: Settings, name: str | None = None) -> Backend:
    """The backend called `name`, by default that of new runs.

    Raises:
        SettingsError: there is none.
    """
    name = name or settings.execution.backend
    if name not in BACKENDS:
        raise SettingsError(
            f"There is no backend {shown(name)}.", hint=f"Known: {', '.join(sorted(BACKENDS))}."
        )
    return BACKENDS[name](settings)
