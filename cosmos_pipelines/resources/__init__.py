"""Where orders run and where records are kept, each as one thing with verbs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from cosmos_pipelines.remote.ssh_config import Target
    from cosmos_pipelines.resources.backend import Backend


def _local(settings: Settings) -> Backend:
    from cosmos_pipelines.resources.local import LocalBackend

    return LocalBackend(settings.work, grace_s=settings.execution.grace_s)


def _ssh_docker(settings: Settings) -> Backend:
    from cosmos_pipelines.resources.container import project_of
    from cosmos_pipelines.resources.ssh_docker import SshDockerBackend

    return SshDockerBackend(
        target_of(settings),
        settings.remote.remote_dir,
        settings.docker,
        project_of(settings.home),
        wait_s=settings.remote.wait_s,
        grace_s=settings.execution.grace_s,
    )


def target_of(settings: Settings) -> Target:
    """Where the GPU host is.

    Raises:
        SettingsError: none is set.
    """
    from cosmos_pipelines.remote.ssh_config import Target

    remote = settings.remote
    if remote.host is None:
        raise SettingsError(
            "No GPU host is set.", hint="Set host in [remote] of cosmos.toml, then `cosmos doctor`."
        )
    return Target(
        remote.host,
        user=remote.user,
        port=remote.port,
        key_file=_below(settings, remote.key),
        known_hosts=_below(settings, remote.known_hosts),
        config_file=_below(settings, remote.ssh_config),
        connect_timeout_s=remote.connect_timeout_s,
        lost_after_s=remote.lost_after_s,
    )


def _below(settings: Settings, path: Path | None) -> Path | None:
    return None if path is None else settings.home / path.expanduser()


BACKENDS: dict[str, Callable[[Settings], Backend]] = {"local": _local, "ssh_docker": _ssh_docker}


def backend_for(settings: Settings, name: str | None = None) -> Backend:
    """The backend called `name`, by default that of new runs.

    Raises:
        SettingsError: there is none.
    """
    name = name or settings.execution.backend
    if name not in BACKENDS:
        raise SettingsError(
            f"There is no backend {name!r}.", hint=f"Known: {', '.join(sorted(BACKENDS))}."
        )
    return BACKENDS[name](settings)
