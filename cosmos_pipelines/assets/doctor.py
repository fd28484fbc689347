"""`cosmos doctor`: is everything there that runs need, here and on the GPU host? No Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.engines import ENGINES, Engine, engine_named
from cosmos_pipelines.errors import UnknownId
from cosmos_pipelines.resources import BACKENDS
from cosmos_pipelines.resources.checks import Check, Checked, Finding, fail, go_through, ok
from cosmos_pipelines.resources.checks_here import checks_here
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_file import FILE

if TYPE_CHECKING:
    from cosmos_pipelines.resources.checks_host import HostChecks

HOST_BACKEND: Final = "ssh_docker"
LOCAL_BACKEND: Final = "local"


def examine(settings: Settings, backend: str | None = None) -> Iterator[Checked]:
    """Make all checks that concern this project, each told as soon as it is made.

    The GPU host is looked at where `[remote] host` is set, or if the backend asked for is there.
    """
    backend = backend or settings.execution.backend
    here = [*checks_here(settings), *_choices(settings, backend)]
    yield from go_through(here)
    if settings.remote.host is not None:
        yield from _examine_host(settings)
    elif backend == HOST_BACKEND:
        do = f"Set host in [remote] of {settings.home / FILE}."
        missing = fail("[remote] host is not set", do)
        yield from go_through([Check("SSH configuration", lambda: missing, place="settings")])


def _choices(settings: Settings, backend: str) -> list[Check]:
    """Whether there are such a backend and such an engine."""

    def known_backend() -> Finding:
        if backend in BACKENDS:
            return ok(backend)
        return fail(f"there is no backend {backend!r}", f"Known: {', '.join(sorted(BACKENDS))}.")

    def known_engine() -> Finding:
        try:
            return ok(engine_named(settings.execution.engine).label)
        except UnknownId as e:
            return fail(e.message, e.hint or "")

    def model_here() -> Finding:
        engine = settings.engine()
        paths = {d.name: settings.work / d.source for d in engine.directories()}
        if not paths or backend != LOCAL_BACKEND:
            return ok("nothing that this machine must have")
        missing = [
            f"{name}: no directory {path}" for name, path in paths.items() if not path.is_dir()
        ]
        if not missing:
            return ok(", ".join(str(path) for path in paths.values()))
        do = f"Set {', '.join(paths)} in [{engine.name}], or use a GPU host: cosmos host setup."
        return fail("; ".join(missing), do)

    return [
        Check("backend", known_backend, place="settings"),
        Check("engine", known_engine, place="settings"),
        Check("model", model_here, ("engine",), "here"),
    ]


def _examine_host(settings: Settings) -> Iterator[Checked]:
    from cosmos_pipelines.resources.checks_host import HostChecks
    from cosmos_pipelines.resources.container import image_of
    from cosmos_pipelines.resources.local import SCRIPTS
    from cosmos_pipelines.resources.parcel import scripts_parcel

    name = settings.execution.engine
    engine = settings.engine(name) if name in ENGINES else None
    setup = engine.setup if engine else None
    with HostChecks(
        settings.ssh_target,
        remote_dir=settings.remote.remote_dir,
        image=lambda: image_of(settings.docker, name, setup.image if setup else None),
        needs_gpu=engine is not None and not engine.simulated,
        scripts=scripts_parcel(SCRIPTS).name,
        set_up=f"cosmos host setup {name}" if setup else None,
    ) as host:
        yield from go_through([*host.checks(), *_of_engine(host, engine, SCRIPTS)])


def _of_engine(host: HostChecks, engine: Engine | None, scripts: Path) -> list[Check]:
    """What the engine needs there besides, if it needs a set-up."""
    from cosmos_pipelines.resources.checks_engine import EngineChecks
    from cosmos_pipelines.resources.manifest import read_manifest

    if engine is None or engine.setup is None:
        return []
    file = scripts / engine.setup.manifest
    return EngineChecks(host, engine, engine.setup, lambda: read_manifest(file)).checks()
