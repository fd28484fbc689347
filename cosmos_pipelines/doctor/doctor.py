"""`cosmos doctor`: is everything there that runs need, here and on the GPU host? No Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from cosmos_pipelines.backends.registry import BACKENDS, HOST_BACKEND, LOCAL_BACKEND
from cosmos_pipelines.doctor.checks import Check, Checked, Finding, fail, go_through, ok
from cosmos_pipelines.doctor.here import checks_here
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import InputError, shown
from cosmos_pipelines.operations import OPERATIONS, ModelType
from cosmos_pipelines.runs.engine_choice import engine_for
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_file import FILE

if TYPE_CHECKING:
    from cosmos_pipelines.doctor.host import HostChecks


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
    """Whether there are such a backend and such engines."""
    named: dict[str, ModelType] = {}
    for kind in OPERATIONS:
        named.setdefault(settings.execution.engine_setting(kind), kind)

    def known_backend() -> Finding:
        if backend in BACKENDS:
            return ok(backend)
        return fail(
            f"there is no backend {shown(backend)}", f"Known: {', '.join(sorted(BACKENDS))}."
        )

    def known_engine(kind: ModelType) -> Finding:
        return ok(engine_for(settings, kind).label)

    def model_here(name: str) -> Finding:
        engine = settings.engine(name)
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

    def model_check(name: str, suffix: str) -> Check:
        needs = () if name in ENGINES else ("engine",)
        return Check(f"model{suffix}", partial(model_here, name), needs, "here")

    return [
        Check("backend", known_backend, place="settings"),
        *(Check(s, partial(known_engine, kind), place="settings") for s, kind in named.items()),
        *(model_check(name, suffix) for name, suffix in _used(settings).items()),
    ]


def _used(settings: Settings) -> dict[str, str]:
    """The engines that make runs, each with what the names of its checks end in.

    Where there is none, it is the wrong one that is set.
    """
    names: dict[str, None] = {}
    for kind in OPERATIONS:
        with suppress(InputError):
            names[engine_for(settings, kind).name] = None
    used = list(names) or [settings.execution.engine]
    return {name: f" of {name}" if len(used) > 1 else "" for name in used}


def _examine_host(settings: Settings) -> Iterator[Checked]:
    from cosmos_pipelines.backends.local import SCRIPTS
    from cosmos_pipelines.backends.parcel import scripts_parcel
    from cosmos_pipelines.doctor.host import HostChecks

    used = _used(settings)
    with HostChecks(
        settings.ssh_target,
        remote_dir=settings.remote.remote_dir,
        needs_gpu=any(name in ENGINES and not ENGINES[name].simulated for name in used),
        scripts=scripts_parcel(SCRIPTS).name,
    ) as host:
        images, others = [], []
        for name, suffix in used.items():
            image, *more = _of_engine(settings, host, name, suffix)
            images.append(image)
            others += more
        yield from go_through([*host.checks(images), *others])


def _of_engine(settings: Settings, host: HostChecks, name: str, suffix: str) -> list[Check]:
    """The check of an engine's image, and what it needs there besides, if it needs a set-up."""
    from cosmos_pipelines.backends.local import SCRIPTS
    from cosmos_pipelines.backends.ssh_docker.container import image_of
    from cosmos_pipelines.doctor.engine import EngineChecks
    from cosmos_pipelines.doctor.image import ImageCheck
    from cosmos_pipelines.hosts.manifest import read_manifest

    engine = settings.engine(name) if name in ENGINES else None
    setup = engine.setup if engine else None
    own = setup.image if setup else None
    image = ImageCheck(
        host,
        lambda: image_of(settings.docker, name, own),
        f"cosmos host setup {name}" if setup else None,
        suffix,
    )
    if engine is None or setup is None:
        return [image.check()]
    file = SCRIPTS / setup.manifest
    return [
        image.check(),
        *EngineChecks(host, image, engine, setup, lambda: read_manifest(file)).checks(),
    ]
