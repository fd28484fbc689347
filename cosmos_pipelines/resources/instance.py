"""The directory of a project's Dagster instance."""

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
"""The old name of the run launcher's module, in files that earlier versions made."""


def instance_directory(settings: Settings) -> Path:
    """Return the directory; make it and its dagster.yaml if they are missing.

    In a dagster.yaml of an earlier version, the name of the run launcher's module is updated.

    Raises:
        DiskFull, CosmosError: dagster.yaml cannot be written.
    """
    directory = settings.dagster_dir
    file = directory / "dagster.yaml"
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process has made the file at the same time
            write_bytes(file, TEMPLATE.read_bytes(), new=True, durable=True)
    _bring_up_to_date(file.resolve())
    return directory


def _bring_up_to_date(file: Path) -> None:
    """Change the old name of the run launcher's module, and no other byte."""
    before = file.read_bytes()
    after = _OLD_LAUNCHER.sub(rb"\g<1>run_launcher", before)
    if after != before:
        with writing(file, durable=True) as part:
            part.touch()
            shutil.copymode(file, part)  # the file may hold a password that only its owner may read
            part.write_bytes(after)


@contextmanager
def open_instance(settings: Settings, *, captures: bool = True) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's instance; without `captures` Dagster does not capture a run's output."""
    from cosmos_pipelines.resources.dagster_private import NO_CAPTURES, instance_at

    overrides = {} if captures else NO_CAPTURES
    with instance_at(instance_directory(settings), overrides) as instance:
        yield instance
