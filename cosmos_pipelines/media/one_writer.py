"""A directory that one process at a time writes to, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmos_pipelines.files import part_of, parts_in, remove, saying_why_not_written
from cosmos_pipelines.media.files import saying_why_not_read


@contextmanager
def sole_writer(dest: Path) -> Iterator[None]:
    """`dest`, made if need be, for this process alone; others are waited for.

    If it was made here and stays empty, it is removed again.
    """
    while True:
        new = not dest.exists()
        with saying_why_not_written(dest):
            dest.mkdir(parents=True, exist_ok=True)
        with _locked(dest) as ours:
            if not ours:
                continue
            try:
                yield
            finally:
                if new and not any(dest.iterdir()):
                    dest.rmdir()
            return


@contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Locks a directory; False if whoever had the lock before has removed it."""
    lock = _opened(directory)
    if lock is None:
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory.exists() and os.path.samestat(directory.stat(), os.fstat(lock))
    finally:
        os.close(lock)


def _opened(directory: Path) -> int | None:
    try:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    except OSError:
        with saying_why_not_read(directory):
            raise


@contextmanager
def staging_in(dest: Path) -> Iterator[Path]:
    """A directory inside `dest`, which is locked; it vanishes afterwards."""
    for left in parts_in(dest, ".prepare"):
        remove(left)  # we hold the lock: its maker was killed
    staging = part_of(dest / ".prepare")
    with saying_why_not_written(staging):
        staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
