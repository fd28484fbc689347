"""Paths on a host: always below one directory, whatever a name says. Pure.

Hosts are POSIX. A backslash is taken for a separator, since people paste paths from Windows.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from cosmos_pipelines.errors import InputError

_DRIVE: Final = re.compile(r"[A-Za-z]:")


def confine(root: str, name: str) -> str:
    """The path `name` below `root`, an absolute path; it cannot lead out of it.

    Raises:
        InputError: it is empty, absolute, has a drive, a control character, or climbs with `..`.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    absolute = name.startswith(("/", "\\")) or _DRIVE.match(name)
    if absolute or not parts or ".." in parts or _unprintable(name):
        raise InputError(f"The path {name!r} leads out of {root}.")
    return str(PurePosixPath(host_directory(root), *parts))


def host_directory(given: str) -> str:
    """A directory of a host as a user wrote it, absolute and plain.

    Raises:
        InputError: it is relative, has a drive, a control character or `..`, or is the root itself.
    """
    path = given.replace("\\", "/").strip()
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/") or not parts or ".." in parts or _unprintable(path):
        raise InputError(
            f"{given!r} cannot be a directory of ours on a host.",
            hint="Give an absolute path, for example /home/me/cosmos.",
        )
    return "/" + "/".join(parts)


def _unprintable(text: str) -> bool:
    return any(ord(c) < 32 or ord(c) == 127 for c in text)
