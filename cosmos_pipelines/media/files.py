"""Whole files or none: writing by a temporary name, hashing, and what the system's errors mean."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import CosmosError, DiskFull, MediaError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yields a `.part` name beside `path`; it becomes `path` if the block ends well.

    Data are on the disk before the name appears. After any failure the part is gone and an older
    `path` is untouched.

    Raises:
        DiskFull: no room, quota or file size limit reached.
        CosmosError: the directory cannot be written.
    """
    part = path.with_name(path.name + ".part")
    with saying_why_not_written(path):
        try:
            yield part
            with part.open("rb") as f:
                os.fsync(f.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def saying_why_not_written(path: Path) -> Iterator[None]:
    """Translates a failed write of `path` into one line (PyAV's errors are OSErrors too)."""
    try:
        yield
    except OSError as e:
        if e.errno in _NO_ROOM:
            raise DiskFull(
                f"No room left for {path} ({os.strerror(e.errno)}).",
                hint="Free some space and run the same command again.",
            ) from e
        if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise CosmosError(f"{path} cannot be written: {os.strerror(e.errno)}.") from e
        raise


@contextmanager
def saying_why_not_read(path: Path) -> Iterator[None]:
    """Translates a failed look at `path` into one line.

    Raises:
        MediaError: it is missing, is not what it should be, or may not be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise MediaError(f"There is no {path}.") from None
    except PermissionError:
        raise MediaError(
            f"{path} cannot be read: permission denied.", hint="Change its permissions."
        ) from None
    except NotADirectoryError:
        raise MediaError(f"{path} is not a directory.") from None
    except IsADirectoryError:
        raise MediaError(f"{path} is a directory, not a file.") from None


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write `document` as indented UTF-8 JSON, whole or not at all."""
    with writing(path) as part:
        part.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes; remembered in this process while size and time stay.

    Raises:
        MediaError: the file is missing or may not be read.
    """
    with saying_why_not_read(path):
        s = path.stat()
        return _sha256(path.absolute(), (s.st_size, s.st_mtime_ns, s.st_ino))


@functools.lru_cache(maxsize=4096)
def _sha256(path: Path, _state: tuple[int, int, int]) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
