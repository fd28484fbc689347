"""Checks of this machine: the project's directories, disk and catalog, the needs of previews."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cosmos_pipelines.backends.checks import Check, Finding, fail, ok, warn
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_file import FILE

GIB: Final = 1 << 30
LOW_GIB: Final = 5
"""Free space below which one is warned: some 4K videos and their parts."""
LEAST_GIB: Final = 0.5
PREVIEW_NEEDS: Final = ("av", "numpy", "PIL")


def checks_here(settings: Settings) -> list[Check]:
    """What every project needs, wherever its runs are executed."""
    return [
        Check("project", lambda: project(settings), place="settings"),
        Check("inputs", lambda: writable(settings.inputs)),
        Check("outputs", lambda: writable(settings.outputs)),
        Check("disk", lambda: disk(settings.outputs), needs=("outputs",)),
        Check("catalog", lambda: catalog(settings)),
        Check("preview engine", preview),
        Check("Dagster home", lambda: writable(settings.dagster_dir)),
    ]


def project(settings: Settings) -> Finding:
    """Which settings are in force. That they are right was found when they were read."""
    file = settings.home / FILE
    if not file.is_file():
        return warn(f"{settings.home} has no {FILE}: all settings have their defaults", _init(file))
    shown = {"backend", "engine", "upscale_engine", "enhance_engine"}
    chosen = settings.execution.model_dump(include=shown, exclude_none=True)
    return ok(f"{file}: {', '.join(f'{name} {value}' for name, value in chosen.items())}")


def _init(file: Path) -> str:
    return f"cosmos init {file.parent}"


def writable(directory: Path) -> Finding:
    """Whether files can be made in a directory, or in the one that it would be made in."""
    there = _nearest(directory)
    if not there.is_dir():
        return fail(f"{there} is no directory", f"Remove it, or name another one in {FILE}.")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as e:
        return fail(f"{there}: {e.strerror}", _let_write(there, e))
    return ok(f"{directory} can be written" + ("" if there == directory else ", once it is made"))


def _let_write(there: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"sudo chown {os.getuid()} {there}"
    return f"See `df -h {there}` and `mount`."


def disk(directory: Path) -> Finding:
    """Room for results."""
    there = _nearest(directory)
    free = shutil.disk_usage(there).free / GIB
    return room(free, str(there), f"Free some space: `du -sh {there}/*` tells what takes it.")


def room(free_gib: float, where: str, do: str, *, low_gib: float = LOW_GIB) -> Finding:
    """What to say of so much free space."""
    said = f"{free_gib:.1f} GiB free in {where}"
    if free_gib < LEAST_GIB:
        return fail(said, do)
    return warn(said, do) if free_gib < low_gib else ok(said)


def catalog(settings: Settings) -> Finding:
    """Whether the catalog opens, has the newest form, and takes a change.

    Raises:
        CosmosError: what is wrong with it.
    """
    from cosmos_pipelines.catalog.store import Catalog

    with Catalog.open(settings.catalog_url, settings.home) as opened:
        with opened.write():  # counts one revision up, which means nothing
            pass
        runs = sum(opened.count_by_status().values())
        return ok(f"{opened.where}: up to date, can be written, {runs} run(s)")


def preview() -> Finding:
    """Whether the libraries of the preview engine are there, and its scripts."""
    from cosmos_pipelines.backends.tar_bundle import SCRIPTS

    missing = [name for name in PREVIEW_NEEDS if find_spec(name) is None]
    if missing:
        do = f"{sys.executable} -m pip install --force-reinstall cosmos-pipelines"
        return fail(f"the Python packages {', '.join(missing)} are missing", do)
    if not (SCRIPTS / "run.sh").is_file():
        return fail(f"{SCRIPTS} has no run.sh", "Install Cosmos Pipelines again.")
    return ok(f"its libraries are there, its scripts are in {SCRIPTS}")


def _nearest(path: Path) -> Path:
    """The path itself if it exists, else the nearest one above that does."""
    return next((p for p in (path, *path.parents) if p.exists()), path)
