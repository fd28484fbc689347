"""`cosmos doctor`: choose and make the checks of this machine and of the GPU hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from cosmos_pipelines.backends.checks import Check, Checked, Finding, fail, go_through, ok, warn
from cosmos_pipelines.backends.registry import (
    host_names,
    host_of,
    hosts_meant,
    is_backend,
    is_remote,
    place_of,
)
from cosmos_pipelines.doctor.here import checks_here
from cosmos_pipelines.doctor.hosts import examine_hosts
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.engines.fields import faults_of
from cosmos_pipelines.engines.registry import Found
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import OPERATIONS, ModelType
from cosmos_pipelines.runs.engine_choice import engine_for, missing_here
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_file import FILE
from cosmos_pipelines.settings_hosts import AUTO


def examine(
    settings: Settings, backend: str | None = None, hosts: Sequence[str] = ()
) -> Iterator[Checked]:
    """Make all checks that concern this project, and yield each result at once.

    All GPU hosts of the settings are checked at the same time, each block of results when it is
    whole; or only `hosts`, or only that of `backend`.

    Raises:
        SettingsError: one of `hosts` is no host of the settings.
    """
    named = hosts_meant(settings, hosts) if hosts else []
    backend = backend or settings.execution.backend
    on_host = is_backend(settings, backend) and is_remote(settings, backend)
    if on_host and backend != settings.execution.backend and not named:
        named = [backend]
    yield from go_through(
        [*checks_here(settings), *_choices(settings, backend), *_foreign_engines()]
    )
    there = named or host_names(settings)
    if there and host_of(settings, there[0]) is not None:
        yield from examine_hosts(settings, there, _used(settings))
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
        return ok(backend if backend == AUTO else place_of(settings, backend).name)

    def known_engine(kind: ModelType) -> Finding:
        return ok(engine_for(settings, kind).label)

    def model_here(name: str) -> Finding:
        engine = settings.engine(name)
        paths = {d.name: settings.work / d.source for d in engine.directories()}
        if not paths or not is_backend(settings, backend) or is_remote(settings, backend):
            return ok("no files are needed on this machine")
        missing = missing_here(settings, engine)
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
