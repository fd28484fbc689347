"""Where the files of runs lie below the outputs root, and never elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cosmos_pipelines import ids
from cosmos_pipelines.errors import InputError, shown

ASIDE: Final = ".deleting-"
"""Put before a directory's name while its rows are being deleted."""
REMOVED_LATER: Final = "`cosmos verify --fix` tries again."
"""What to do about one that could not be removed."""


def run_directory(outputs_root: Path, run_id: str) -> Path:
    """The directory of one run, directly below the outputs root.

    Raises:
        InputError: not a run id, so that its directory could be anywhere.
    """
    if not ids.is_run_id(run_id):
        raise InputError(f"{shown(run_id)} is not a run id.")
    return outputs_root / f"run_{run_id}"


def run_id_of(directory: Path) -> str | None:
    """The run whose directory this is by its name."""
    run_id = directory.name.removeprefix(ASIDE).removeprefix("run_")
    return run_id if ids.is_run_id(run_id) else None


def output_file(outputs_root: Path, run_id: str, recorded: str) -> Path | None:
    """The file that a run recorded (relative to home) as `.../run_<id>/...`.

    None for a path that is not in the run's own directory, links followed.
    """
    directory = run_directory(outputs_root, run_id)
    parts = Path(recorded).parts
    if directory.name not in parts:
        return None
    file = directory.joinpath(*parts[parts.index(directory.name) + 1 :])
    return file if file.resolve().is_relative_to(outputs_root.resolve()) else None


def files_below(directory: Path) -> Iterator[Path]:
    """All files and links below a directory; links are not followed."""
    for place, directories, names in os.walk(directory):
        links = [name for name in directories if Path(place, name).is_symlink()]
        for name in (*names, *links):
            yield Path(place, name)


def size_of(directory: Path) -> int:
    """Bytes that go with a directory (0 for a link to one: only the link would go)."""
    if directory.is_symlink() or not directory.is_dir():
        return 0
    return sum(file.lstat().st_size for file in files_below(directory))
