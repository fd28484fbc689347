"""What every `cosmos host` command needs: engine, host, log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.backends.tar_bundle import SCRIPTS
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.engines.base import HostSetup
from cosmos_pipelines.errors import CosmosError, InputError, LinkLost
from cosmos_pipelines.files import room_for
from cosmos_pipelines.hosts.arrive import EngineOnHost, Tell
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import UNNAMED, Place

OnLine = Callable[[str], None]


def engine_with_setup(settings: Settings, name: str) -> tuple[Engine, HostSetup]:
    """Return the engine of this name with the project's settings, and the engine's set-up.

    Raises:
        InputError: there is no such engine, or the engine needs no set-up.
    """
    engine = settings.engine(name)
    if engine.setup is None:
        raise InputError(
            f"{engine.name} needs only an image on a host, no set-up.", hint="See docs/gpu-host.md."
        )
    return engine, engine.setup


def engine_on_host(
    engine: Engine, setup: HostSetup, backend: SshBackend, tell: Tell
) -> EngineOnHost:
    """Return what the steps of a set-up share."""
    directories = {d.name: d.source for d in engine.directories()}
    return EngineOnHost(backend.host, engine.name, setup, directories, SCRIPTS, tell)


def log_file(settings: Settings, name: str, place: Place) -> Path:
    """Return the path of the log of a command for a host, on this machine."""
    host = "" if place.name == UNNAMED else f"-{place.name}"
    return settings.outputs / "host_setup" / f"{name}{host}.log"


@contextmanager
def telling(log: Path, on_line: OnLine | None) -> Iterator[Tell]:
    """Yield a function that writes a line to the log and passes it to `on_line`.

    An error becomes the last line of the log.
    """
    with room_for(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8", errors="backslashreplace") as file:

            def tell(line: str) -> None:
                file.write(line + "\n")
                file.flush()
                if on_line is not None:
                    on_line(line)

            try:
                yield tell
            except LinkLost as e:
                file.write(f"error: {e}\n")
                hint = "Give the command again: finished steps are kept, downloads continue."
                raise LinkLost(e.host, e.message, hint=hint) from e
            except CosmosError as e:
                file.write(f"error: {e}\n")
                raise
