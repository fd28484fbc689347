"""Locks for a place that several processes share, as engines may share a cache.

Standard library only.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_CANNOT = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)
"""Errors of network file systems that have no locks: there all processes run at once, unlocked."""


@contextmanager
def alone_with(file: Path, waiting: Callable[[], None]) -> Iterator[IO[bytes]]:
    """Open a file at its end, locked against other processes; make file and directory if missing.

    `waiting` is called if another process holds the lock. The holder may rename or remove the file.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with file.open("ab") as opened:
            _lock(opened.fileno(), waiting)
            try:
                same = os.path.samestat(file.stat(), os.fstat(opened.fileno()))
            except FileNotFoundError:
                same = False
            if same:
                yield opened
                return


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Lock a directory: no other process is in an `alone_in` block of this directory."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        _lock(opened, lambda: None)
        yield
    finally:
        os.close(opened)


def _lock(opened: int, waiting: Callable[[], None]) -> None:
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(opened, fcntl.LOCK_EX)
    except OSError as e:
        if e.errno not in _CANNOT:
            raise
