"""The first use of a project's Dagster instance, which several processes may make at once.

Dagster 1.13 makes its SQLite files in several steps without a lock: two processes at once leave a
file with two versions in it, which nobody can open any more. So here one process makes them, under
another name, and each directory gets its name when it is whole; a process that is killed meanwhile
leaves nothing that counts.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cosmos_pipelines.files import part_of, remove, sweep_parts
from cosmos_pipelines.resources.dagster_private import instance_at, names_databases

LAST: Final = "history"
"""Directory that gets its name last: where it is, Dagster's SQLite files are whole."""


@contextmanager
def first_use(directory: Path) -> Iterator[None]:
    """Open the instance of `directory` inside this; Dagster's own SQLite files are there then.

    Where dagster.yaml names other databases, one process of this machine at a time opens them.
    """
    if (directory / LAST).exists():
        yield
        return
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / LAST).exists() and not names_databases(directory):
            _make(directory)
        yield
    finally:
        os.close(lock)


def _make(directory: Path) -> None:
    sweep_parts(directory, "dagster")
    part = part_of(directory / "dagster")
    part.mkdir()
    try:
        with instance_at(part, {}, config=directory):
            pass
        for made in sorted(part.iterdir(), key=lambda path: path.name == LAST):
            if not (directory / made.name).exists():
                made.rename(directory / made.name)
    finally:
        remove(part)
