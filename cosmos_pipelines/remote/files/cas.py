"""A directory of files named by the SHA-256 of their content. Mechanics only."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from cosmos_pipelines.files import copy_verified, room_for


def keep(cas: Path, source: Path, sha256: str, size: int) -> Path:
    """The file in `cas` with this content, copied from `source` if it is not there yet.

    It is read-only and no link to `source`, which its owner may overwrite in place.

    Raises:
        WrongContent: `source` has another hash.
        DiskFull: no room; nothing half-written is left.
        OSError: `source` cannot be read.
    """
    kept = cas / sha256
    if not (kept.is_file() and kept.stat().st_size == size):
        with room_for(cas):
            cas.mkdir(parents=True, exist_ok=True)
        copy_verified(source, kept, sha256)
        kept.chmod(0o444)
    return kept


def place(kept: Path, target: Path) -> None:
    """A hard link to a kept file; a copy where the file system has no (more) links.

    Raises:
        DiskFull: no room.
    """
    with room_for(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(kept)
        except OSError as e:
            if e.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV):
                raise
            shutil.copyfile(kept, target)
