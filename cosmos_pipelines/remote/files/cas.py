"""A directory of files that are named by the SHA-256 of their content."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from loguru import logger

from cosmos_pipelines.files import PART, copy_verified, room_for, sha256_of

DAY_S: Final = 24 * 3600


def keep(cas: Path, source: Path, sha256: str) -> Path:
    """Return the file in `cas` with this content; copy it from `source` if it is not there.

    The file is read-only, and a copy: the owner of `source` may overwrite `source` in place. It is
    hashed at each call: the disk may be failing, and whatever runs as the same user can write.

    Raises:
        WrongContent: `source` has another hash.
        DiskFull: no room; no half-written file is left.
        OSError: `source` cannot be read.
    """
    kept = cas / sha256
    if not _has(kept, sha256):
        with room_for(cas):
            cas.mkdir(parents=True, exist_ok=True)
        copy_verified(source, kept, sha256)
        kept.chmod(0o444)
    return kept


def _has(kept: Path, sha256: str) -> bool:
    try:
        found = sha256_of(kept)
    except FileNotFoundError:
        return False
    except OSError as e:  # a directory, a bad block
        found = e.strerror or str(e)
    if found != sha256:
        logger.warning("{file} was damaged ({why}); it is copied again", file=kept, why=found)
    return found == sha256


def unused(cas: Path, older_s: float) -> Iterator[tuple[Path, int]]:
    """Yield the files (path, bytes) that no hard link uses and none has used for `older_s` seconds.

    Also what was copied in part, a day ago or more. Links in the directory are passed over.
    """
    now = time.time()
    for entry in os.scandir(cas) if cas.is_dir() else ():
        with suppress(FileNotFoundError):  # somebody else removed it
            found = entry.stat(follow_symlinks=False)
            part = entry.name.endswith(PART)
            idle_s = now - (found.st_mtime if part else found.st_ctime)
            alone = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
            if alone and idle_s >= (max(older_s, DAY_S) if part else older_s):
                yield Path(entry.path), found.st_size


def place(kept: Path, target: Path) -> None:
    """Make `target` a hard link to a kept file; a copy if the file system has no (more) links.

    Raises:
        DiskFull: no room.
        FileNotFoundError: the kept file has been removed.
    """
    with room_for(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(kept)
        except OSError as e:
            if e.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV):
                raise
            shutil.copyfile(kept, target)
