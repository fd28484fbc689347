"""Why a file of the user's cannot be read, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmos_pipelines import files
from cosmos_pipelines.errors import MediaError


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


def hash_of(path: Path) -> str:
    """SHA-256 (hex) of a picture or video; read once in this process while it stays the same.

    Raises:
        MediaError: it is missing or may not be read.
    """
    with saying_why_not_read(path):
        return files.sha256_of(path, remember=True)
