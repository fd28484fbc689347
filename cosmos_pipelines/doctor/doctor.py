"""`cosmos doctor`: choose and make the checks of this machine and of the GPU host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_pipelines.backends.checks import Check, Checked, Finding, fail, go_through, ok, warn
from cosmos_pipelines.backends.registry import (
    backend_names,
    carrier_of,
    host_backend_name,
    host_names,
    is_backend,
    is_remote,
    place_of,
)
from cosmos_pipelines.doctor.here import checks_here
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.engines.fields import faults_of
from cosmos_pipelines.engines.registry import Found
from cosmos_pipelines.errors import InputError, shown
from cosmos_pipelines.operations import OPERATIONS, ModelType
from cosmos_pipelines.runs.engine_choice import engine_for
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_file import FILE

if TYPE_CHECKING:
    from cosmos_pipelines.doctor.host import HostChecks


def examine(settings: Settings, backend: str | None = None) -> Iterator[Checked]:
    """Make all checks that concern this project, and yield each result at once.

    The GPU host is checked if `[remote] host` is set, or if `backend` runs orders on a host.
    """
    backend = backend or settings.execution.backend
    here = [*checks_here(settings), *_choices(settings, backend), *_foreign_engines()]
    yield from go_through(here)
    on_host = is_backend(settings, backend) and is_remote(settings, backend)
    if host_names(settings):
        yield from _examine_host(settings, backend)
    elif on_host:
        do = f"Set host in [remote] of {settings.home / FILE}."
        missing = fail("[remote] host is not set", do)
        yield from go_through([Check("SSH configuration", lambda: missing, place="settings")])


def _choices(settings: Settings, backend: str) -> list[Check]:
    """Return the checks of the backend and the engines that the settings name."""
    named: dict[str, ModelType] = {}
    for kind in OPERATIONS:
        named.setdefault(settings.execution.engine_setting(kind), kind)

    def known_backend() -> Finding:
        if is_backend(settings, backend):
            return ok(backend)
        return fail(
            f"there is no backend {shown(backend)}",
            f"Known: {', '.join(sorted(backend_names(settings)))}.",
        )

    def known_engine(kind: ModelType) -> Finding:
        return ok(engine_for(settings, kind).label)

    def model_here(name: str) -> Finding:
        engine = settings.engine(name)
        paths = {d.name: settings.work / d.source for d in engine.directories()}
        if not paths or not is_backend(settings, backend) or is_remote(settings, backend):
            return ok("no files are needed on this machine")
        missing = {d: f"no directory {path}" for d, path in paths.items() if not path.is_dir()}
        own = engine.own_checkpoint()
        if own and not Path(own).exists():
            missing["checkpoint"] = f"no checkpoint {own}"
        if not missing:
            return ok(", ".join(str(path) for path in paths.values()))
        do = f"Set {', '.join(missing)} in [{engine.name}], or use a GPU host: cosmos host setup."
        return fail("; ".join(f"{d}: {what}" for d, what in missing.items()), do)

    def model_check(name: str, suffix: str) -> Check:
        needs = () if name in ENGINES else ("engine",)
        return Check(f"model{suffix}", partial(model_here, name), needs, "here")

    return [
        Check("backend", known_backend, place="settings"),
        *(Check(s, partial(known_engine, kind), place="settings") for s, kind in named.items()),
        *(model_check(name, suffix) for name, suffix in _used(settings).items()),
    ]


def _foreign_engines() -> list[Check]:
    """Return the checks of the engines that other packages bring."""

    def look(found: Found) -> Finding:
        if found.engine is None:
            return warn(found.error.message, found.error.hint or "")
        if faults := faults_of(found.engine):
            return warn("; ".join(faults), f"Install a newer version of {found.package}.")
        return ok(f"{found.engine.label}, of the package {found.package}")

    return [Check(f"engine {found.name}", partial(look, found)) for found in ENGINES.others()]


def _used(settings: Settings) -> dict[str, str]:
    """Return the engines of new runs, each with the ending of its checks' names.

    If no engine can be used, return the engine of the settings, so that its check fails.
    """
    names: dict[str, None] = {}
    for kind in OPERATIONS:
        with suppress(InputError):
            names[engine_for(settings, kind).name] = None
    used = list(names) or [settings.execution.engine]
    return {name: f" of {name}" if len(used) > 1 else "" for name in used}


def _examine_host(settings: Settings, backend: str) -> Iterator[Checked]:
    from cosmos_pipelines.backends.tar_bundle import SCRIPTS, scripts_bundle
    from cosmos_pipelines.doctor.host import HostChecks

    used = _used(settings)
    on_host = is_backend(settings, backend) and is_remote(settings, backend)
    place = place_of(settings, backend if on_host else host_backend_name(settings))
    with HostChecks(
        settings.ssh_target(place),
        carrier_of(settings, place.name),
        remote_dir=place.remote.remote_dir,
        needs_gpu=any(name in ENGINES and not ENGINES[name].simulated for name in used),
        scripts=scripts_bundle(SCRIPTS).name,
    ) as host:
        images, others = [], []
        for name, suffix in used.items():
            image, *more = _of_engine(settings, host, name, suffix)
            images.append(image)
            others += more
        yield from go_through([*host.checks(images), *others])


def _of_engine(settings: Settings, host: HostChecks, name: str, suffix: str) -> list[Check]:
    """Return the check of an engine's image, and the checks of its set-up if it has one."""
    from cosmos_pipelines.backends.tar_bundle import SCRIPTS
    from cosmos_pipelines.doctor.engine import EngineChecks
    from cosmos_pipelines.doctor.image import ImageCheck
    from cosmos_pipelines.hosts.manifest import read_manifest

    engine = settings.engine(name) if name in ENGINES else None
    setup = engine.setup if engine else None
    own = setup.image if setup else None
    image = ImageCheck(host, name, own, f"cosmos host setup {name}" if setup else None, suffix)
    if engine is None or setup is None:
        return [image.check()]
    file = SCRIPTS / setup.manifest
    return [
        image.check(),
        *EngineChecks(host, image, engine, setup, lambda: read_manifest(file)).checks(),
    ]
