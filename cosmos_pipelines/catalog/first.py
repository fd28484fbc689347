"""The catalog's SQLite file before it is opened: a new file is made whole, an old file is checked.

SQLite itself takes a file of 0 bytes for a new database, and removes the log of the old database.
A new catalog is therefore made under another name and renamed when it has all tables: a file of
0 bytes under the catalog's name was emptied, even if a process was killed.

Only a file that no connection of this process uses may be opened beside SQLite: closing it gives up
the locks of all of them (sqlite.org/howtocorrupt.html, 2.2). Another process would then take itself
for the last one and remove the log, with all that we write later.
"""

from __future__ import annotations

import os
import threading
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
_checked: Final[dict[tuple[int, int], bytes]] = {}
"""By device and inode, how files begin that this process may have open: read when it had not."""
_checking: Final = threading.Lock()
_ANEW: Final = "Restore a backup, or remove the file to start a new catalog."


def have_file(path: Path, fill: Callable[[Database], None]) -> bool:
    """Check the SQLite database at `path`, or make one; a new one is filled before it has its name.

    Return whether its log is written ahead, as that of a backup is not.

    Raises:
        InputError: the file was emptied, or is not an SQLite database; the file is not changed.
        DiskFull, CosmosError: the file cannot be written.
    """
    logs = [log for log in _logs(path) if log.exists()]
    if os.path.lexists(path):  # after the logs: other processes make their log after the file
        return _check(path, logs)
    if logs:
        raise InputError(
            f"There is no catalog {path}, but its log {logs[0]} exists.",
            hint=f"Restore the catalog, or remove {logs[0].name} to start a new catalog.",
        )
    _make(path, fill)
    return _check(path, [])


def _logs(path: Path) -> list[Path]:
    """Return the paths of SQLite's logs, whose changes are not in the database's file yet."""
    return [path.with_name(f"{path.name}-{log}") for log in ("wal", "journal")]


def _check(path: Path, logs: list[Path]) -> bool:
    try:
        if what := what_it_is(path.stat().st_mode):
            raise InputError(f"The catalog {path} is {what}, not a file.")
        size, begins = path.stat().st_size, _first_bytes(path)
    except OSError as e:
        raise InputError(f"The catalog {path} cannot be opened: {e.strerror}.") from None
    if size == 0:
        beside = f" Keep {logs[0].name}: it may have some of the catalog." if logs else ""
        raise InputError(
            f"The catalog {path} has 0 bytes: the file was emptied, or is not a catalog.{beside}",
            hint=_ANEW,
        )
    if not begins.startswith(_MAGIC) or size < _SMALLEST:
        raise InputError(
            f"The catalog {path} is not an SQLite database.",
            hint=_ANEW,
        )
    return begins.endswith(_VERSIONS[1])


def _first_bytes(path: Path) -> bytes:
    """How a file begins; how it began, if it was one of SQLite when it was checked before."""
    with _checking:
        found = path.stat()
        key = found.st_dev, found.st_ino
        if key in _checked:
            return _checked[key]
        with path.open("rb") as file:
            begins = file.read(_VERSIONS[0] + len(_VERSIONS[1]))
        if begins.startswith(_MAGIC):
            _checked[key] = begins
        return begins


def _make(path: Path, fill: Callable[[Database], None]) -> None:
    try:
        with Database("sqlite://") as memory, writing(path, new=True, durable=True) as part:
            fill(memory)
            copy_into(memory, part, path)
            with part.open("r+b") as file:
                file.seek(_VERSIONS[0])
                file.write(_VERSIONS[1])
    except FileExistsError:
        return  # another process was faster, with a whole file
