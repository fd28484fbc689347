"""Files of this machine: copied whole and verified, or not at all. Mechanics only."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cosmos_pipelines.errors import DiskFull

CHUNK: Final = 1 << 20
PART: Final = ".part"


class WrongContent(Exception):
    """A file does not have the hash that it should have; nothing was kept of the copy."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(f"{path}: {found}")
        self.found = found


def part_of(target: Path) -> Path:
    """A name beside `target` for what is not whole yet; tells which process is making it."""
    return target.with_name(f"{target.name}.{threading.get_ident():x}.{os.getpid()}{PART}")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Say a full disk as `DiskFull` with the directory's name."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"No space left for {path}.", hint="Free some space there and try again."
            ) from e
        raise


def copy_verified(source: Path, target: Path, sha256: str) -> None:
    """Copy a file; `target` appears when all its bytes are on the disk and have this hash.

    Raises:
        WrongContent: the source has another hash.
        DiskFull: no room.
        OSError: the source cannot be read or the target not be written.
    """
    part = part_of(target)
    try:
        with room_for(target), source.open("rb") as given, part.open("wb") as made:
            digest = hashlib.sha256()
            while chunk := given.read(CHUNK):
                digest.update(chunk)
                made.write(chunk)
            made.flush()
            os.fsync(made.fileno())
        if digest.hexdigest() != sha256:
            raise WrongContent(source, digest.hexdigest())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(target: Path, text: str) -> None:
    """Write a text file; it appears with all its content or not at all.

    Raises:
        DiskFull: no room.
    """
    part = part_of(target)
    try:
        with room_for(target), part.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file or a directory with all that is in it; nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep_parts(directory: Path) -> None:
    """Remove what processes that are gone left half-made in a directory (see `part_of`)."""
    for path in directory.glob(f"*{PART}"):
        maker = path.name.removesuffix(PART).rpartition(".")[2]
        if maker.isdigit() and not Path("/proc", maker).exists():
            remove(path)
