"""The directories of runs, which are always below the outputs root."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cosmos_pipelines import ids
from cosmos_pipelines.errors import InputError, shown
from cosmos_pipelines.files import files_below

ASIDE: Final = ".deleting-"
"""Prefix of a directory's name while its rows are being deleted."""
REMOVED_LATER: Final = "`cosmos verify --fix` tries again."
"""The hint if a directory could not be removed."""


def run_directory(outputs_root: Path, run_id: str) -> Path:
    """Return the directory of one run, directly below the outputs root.

    Raises:
        InputError: not a run id: its directory could be anywhere.
    """
    if not ids.is_run_id(run_id):
        raise InputError(f"{shown(run_id)} is not a run id.")
    return outputs_root / f"run_{run_id}"


def run_id_of(directory: Path) -> str | None:
    """Return the id of the run that a directory's name belongs to; None: no run's name."""
    run_id = directory.name.removeprefix(ASIDE).removeprefix("run_")
    return run_id if ids.is_run_id(run_id) else None


def output_file(outputs_root: Path, run_id: str, recorded: str) -> Path | None:
    """Return the file that a run recorded (relative to home) as `.../run_<id>/...`.

    None for a path that is not in the run's directory, also through links.
    """
    directory = run_directory(outputs_root, run_id)
    parts = Path(recorded).parts
    if directory.name not in parts:
        return None
    file = directory.joinpath(*parts[parts.index(directory.name) + 1 :])
    return file if file.resolve().is_relative_to(outputs_root.resolve()) else None


def size_of(directory: Path) -> int:
    """Return the bytes that the removal of a directory frees (0 for a link to a directory)."""
    if directory.is_symlink() or not directory.is_dir():
        return 0
    return sum(file.lstat().st_size for file in files_below(directory))
