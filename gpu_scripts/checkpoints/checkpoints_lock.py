"""One process at a time where several share a place, as engines may share a cache.

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
"""What network file systems say that have no locks: then all go on at once, as without this."""


@contextmanager
def alone_with(file: Path, waiting: Callable[[], None]) -> Iterator[IO[bytes]]:
    """A file, made if need be with its directory, open at its end; no other process has it so.

    `waiting` is called if another has it. It may be renamed or removed meanwhile, by its holder.
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
    """No other process is in such a block for this directory."""
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
