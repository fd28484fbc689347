"""The catalog's SQLite file before it is opened: made whole if there is none, else looked at.

SQLite itself takes a file of 0 bytes for a new database, and removes the log of what it had been.
A new catalog is therefore made under another name, and gets its own when all tables are in it: a
file of 0 bytes under that name was emptied, whoever was killed when.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cosmos_pipelines.catalog.database import Database, copy_into
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.files import writing
from cosmos_pipelines.foreign import what_it_is

_MAGIC: Final = b"SQLite format 3\0"
_SMALLEST: Final = 512
"""Bytes of the smallest page."""
_VERSIONS: Final = (18, b"\2\2")
"""Where the header says that the log is written ahead (sqlite.org/fileformat2.html, 1.3)."""
_ANEW: Final = "Restore a backup, or remove it to begin anew."


def have_file(path: Path, fill: Callable[[Database], None]) -> None:
    """Have an SQLite database at `path`; a new one is filled before it has its name.

    Raises:
        InputError: what is there was emptied, or is no SQLite database; it is left as it is.
        DiskFull, CosmosError: it cannot be written.
    """
    logs = [log for log in _logs(path) if log.exists()]
    if os.path.lexists(path):  # looked at after the logs: others make their log after the file
        _check(path, logs)
    elif logs:
        raise InputError(
            f"There is no catalog {path}, but {logs[0]} is there without it.",
            hint=f"Put the catalog back beside it, or remove {logs[0].name} to begin anew.",
        )
    else:
        _make(path, fill)


def _logs(path: Path) -> list[Path]:
    """What SQLite keeps beside a database of what has not come into its file yet."""
    return [path.with_name(f"{path.name}-{log}") for log in ("wal", "journal")]


def _check(path: Path, logs: list[Path]) -> None:
    try:
        if what := what_it_is(path.stat().st_mode):
            raise InputError(f"The catalog {path} is {what}, not a file.")
        size = path.stat().st_size
        with path.open("rb") as file:
            begins = file.read(len(_MAGIC))
    except OSError as e:
        raise InputError(f"The catalog {path} cannot be opened: {e.strerror}.") from None
    if size == 0:
        beside = f" Keep {logs[0].name}: it may have some of it." if logs else ""
        raise InputError(
            f"The catalog {path} has 0 bytes: it was emptied, or never was one.{beside}",
            hint=_ANEW,
        )
    if begins != _MAGIC or size < _SMALLEST:
        raise InputError(
            f"The catalog {path}: it is not an SQLite database, but a file of something else.",
            hint=_ANEW,
        )


def _make(path: Path, fill: Callable[[Database], None]) -> None:
    try:
        with Database("sqlite://") as memory, writing(path, new=True, durable=True) as part:
            fill(memory)
            copy_into(memory, part, path)
            with part.open("r+b") as file:
                file.seek(_VERSIONS[0])
                file.write(_VERSIONS[1])
    except FileExistsError:
        return  # another process was faster, with a whole one
