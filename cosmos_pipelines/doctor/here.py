"""The checks of this machine: the project's directories, disk, catalog and preview engine."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cosmos_pipelines.backends.checks import Check, Finding, fail, ok, warn
from cosmos_pipelines.foreign import expanded, read_secret
from cosmos_pipelines.runs.budget import not_counted
from cosmos_pipelines.settings import Settings, has_addresses
from cosmos_pipelines.settings_file import FILE

GIB: Final = 1 << 30
LOW_GIB: Final = 5
"""Free space below which a check warns: room for some 4K videos and their parts."""
LEAST_GIB: Final = 0.5
PREVIEW_NEEDS: Final = ("av", "numpy", "PIL")


def checks_here(settings: Settings) -> list[Check]:
    """Return the checks that every project needs, for every backend."""
    has_limit = settings.budget.of_a_day or settings.budget.of_a_batch
    return [
        Check("project", lambda: project(settings), place="settings"),
        Check("inputs", lambda: writable(settings.inputs)),
        Check("outputs", lambda: writable(settings.outputs)),
        Check("disk", lambda: disk(settings.outputs), needs=("outputs",)),
        Check("catalog", lambda: catalog(settings)),
        Check("preview engine", preview),
        Check("Dagster home", lambda: writable(settings.dagster_dir)),
        Check("Dagster records", lambda: dagster(settings), needs=("Dagster home",)),
        *([Check("budget", lambda: budget(settings), place="settings")] if has_limit else []),
        *([Check("messages", lambda: messages(settings))] if has_addresses(settings) else []),
    ]


def project(settings: Settings) -> Finding:
    """Report the settings file and the main settings, which were validated when they were read."""
    file = settings.home / FILE
    if not file.is_file():
        return warn(f"{settings.home} has no {FILE}: all settings have their defaults", _init(file))
    shown = {"backend", "engine", "upscale_engine", "enhance_engine"}
    chosen = settings.execution.model_dump(include=shown, exclude_none=True)
    return ok(f"{file}: {', '.join(f'{name} {value}' for name, value in chosen.items())}")


def budget(settings: Settings) -> Finding:
    """Whether the limits of the budget count all hosts."""
    if said := not_counted(settings):
        what, _, do = said.partition(": set ")
        return warn(what, f"Set {do}")
    return ok("its limits count all hosts")


def _init(file: Path) -> str:
    return f"cosmos init {file.parent}"


def writable(directory: Path) -> Finding:
    """Whether files can be made in a directory, or in its nearest existing parent."""
    nearest = _nearest(directory)
    if not nearest.is_dir():
        do = f"Remove the file, or name another directory in {FILE}."
        return fail(f"{nearest} is not a directory", do)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as e:
        return fail(f"{nearest}: {e.strerror}", _let_write(nearest, e))
    later = "" if nearest == directory else ", once the directory is made"
    return ok(f"{directory} can be written{later}")


def _let_write(directory: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"sudo chown {os.getuid()} {directory}"
    return f"See `df -h {directory}` and `mount`."


def disk(directory: Path) -> Finding:
    """Whether the disk has room for results."""
    nearest = _nearest(directory)
    free = shutil.disk_usage(nearest).free / GIB
    return room(free, str(nearest), f"Free some space: `du -sh {nearest}/*` lists what uses it.")


def room(free_gib: float, where: str, do: str, *, low_gib: float = LOW_GIB) -> Finding:
    """Return the finding for this much free space."""
    found = f"{free_gib:.1f} GiB free in {where}"
    if free_gib < LEAST_GIB:
        return fail(found, do)
    return warn(found, do) if free_gib < low_gib else ok(found)


def catalog(settings: Settings) -> Finding:
    """Whether the catalog opens, has the newest schema, and can be written.

    Raises:
        CosmosError: what is wrong with the catalog.
    """
    from cosmos_pipelines.catalog.store import Catalog

    with Catalog.open(settings.catalog_url, settings.home) as opened:
        with opened.write():  # adds one to the revision counter, which changes no record
            pass
        runs = sum(opened.count_by_status().values())
        return ok(f"{opened.where}: up to date, can be written, {runs} run(s)")


def dagster(settings: Settings) -> Finding:
    """Whether Dagster's own databases can be opened.

    Raises:
        CosmosError: what is wrong with them.
    """
    if not settings.dagster_dir.exists():
        return ok("none yet: the first run or `cosmos ui` makes them")
    from cosmos_pipelines.resources.instance import open_instance

    with open_instance(settings, captures=False) as instance:
        runs = instance.get_runs_count()
        return ok(f"{settings.dagster_dir}: can be opened, {runs} Dagster run(s)")


def messages(settings: Settings) -> Finding:
    """Whether the addresses of messages can be read, and the library that sends them is there.

    Raises:
        InputError: the file of the addresses cannot be used.
    """
    if (named := settings.notify.urls_file) is not None:
        read_secret(settings.home / expanded(named))
    if find_spec("apprise") is None:
        do = "pip install 'cosmos-pipelines[notify]'"
        return fail("nobody is told of anything: the library Apprise is not installed", do)
    return ok("addresses are set; `cosmos notify --test` tries them")


def preview() -> Finding:
    """Whether the libraries and the scripts of the preview engine are installed."""
    from cosmos_pipelines.backends.tar_bundle import SCRIPTS

    missing = [name for name in PREVIEW_NEEDS if find_spec(name) is None]
    if missing:
        pip = [sys.executable, "-m", "pip", "install", "--force-reinstall", "cosmos-pipelines"]
        return fail(f"the Python packages {', '.join(missing)} are missing", shlex.join(pip))
    if not (SCRIPTS / "run.sh").is_file():
        return fail(f"{SCRIPTS} has no run.sh", "Install Cosmos Pipelines again.")
    return ok(f"the libraries are installed, the scripts are in {SCRIPTS}")


def _nearest(path: Path) -> Path:
    """Return the path if it exists, else its nearest existing parent."""
    return next((p for p in (path, *path.parents) if p.exists()), path)
