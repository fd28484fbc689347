"""Dagster's instance directory of a project."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.files import write_bytes, writing
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

TEMPLATE: Final = Path(__file__).parent.parent / "dagster.yaml"


_OLD_LAUNCHER: Final = re.compile(
    rb"""(\bmodule["']?\s*:\s*["']?cosmos_pipelines\.resources\.)launcher(?![\w.])"""
)
"""What the run launcher's module was called in files that earlier versions made."""


def instance_directory(settings: Settings) -> Path:
    """The directory, made with our dagster.yaml in it if there is none yet.

    In one that an earlier version made, the name of our run launcher is brought up to date.

    Raises:
        DiskFull, CosmosError: dagster.yaml cannot be written.
    """
    directory = settings.dagster_dir
    file = directory / "dagster.yaml"
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # made in this very moment by another process
            write_bytes(file, TEMPLATE.read_bytes(), new=True, durable=True)
    _bring_up_to_date(file.resolve())
    return directory


def _bring_up_to_date(file: Path) -> None:
    """Change the old name of our run launcher's module, and not another byte."""
    had = file.read_bytes()
    wanted = _OLD_LAUNCHER.sub(rb"\g<1>run_launcher", had)
    if wanted != had:
        with writing(file, durable=True) as part:
            part.touch()
            shutil.copymode(file, part)  # it may hold a password, and be for its owner alone
            part.write_bytes(wanted)


@contextmanager
def open_instance(settings: Settings, *, captures: bool = True) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance; without `captures` a run's stdout and stderr stay where they are."""
    from cosmos_pipelines.resources.dagster_private import NO_CAPTURES, instance_at

    overrides = {} if captures else NO_CAPTURES
    with instance_at(instance_directory(settings), overrides) as instance:
        yield instance
