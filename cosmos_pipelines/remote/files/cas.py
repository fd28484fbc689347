"""A directory of files that are named by the SHA-256 of their content."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from cosmos_pipelines.files import copy_verified, room_for


def keep(cas: Path, source: Path, sha256: str, size: int) -> Path:
    """Return the file in `cas` with this content; copy it from `source` if it is missing.

    The file is read-only, and a copy: the owner of `source` may overwrite `source` in place.

    Raises:
        WrongContent: `source` has another hash.
        DiskFull: no room; no half-written file is left.
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
    """Make `target` a hard link to a kept file; a copy if the file system has no (more) links.

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
