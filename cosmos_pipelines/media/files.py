"""Why a file of the user's cannot be read, in our words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cosmos_pipelines import files
from cosmos_pipelines.errors import MediaError, named
from cosmos_pipelines.foreign import what_it_is

_OF_THE_NAME: Final = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV)
"""Errors that a path itself has, or what no file is."""


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
        raise MediaError(
            f"{path} is not a directory.", hint="Name the directory in which the files are."
        ) from None
    except IsADirectoryError:
        raise MediaError(f"{path} is a directory, not a file.") from None
    except OSError as e:
        if e.errno not in _OF_THE_NAME:
            raise
        raise MediaError(f"{named(path)} cannot be read: {e.strerror}.") from None


def check_regular(path: Path) -> None:
    """Refuse a pipe, a socket or a device: reading one would never end.

    Raises:
        MediaError: it is none that can be read to its end, or may not be looked at.
    """
    with saying_why_not_read(path):
        if what := what_it_is(path.stat().st_mode):
            raise MediaError(f"{path} is {what}, not a file.")


def hash_of(path: Path) -> str:
    """SHA-256 (hex) of a picture or video; read once in this process while it stays the same.

    Raises:
        MediaError: it is missing or may not be read.
    """
    check_regular(path)
    with saying_why_not_read(path):
        return files.sha256_of(path, remember=True)
