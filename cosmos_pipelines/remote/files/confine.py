"""Make paths of a host that stay below one directory for every name. Pure.

Hosts are POSIX. A backslash counts as a separator, since people paste paths from Windows.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from cosmos_pipelines.errors import InputError

_DRIVE: Final = re.compile(r"[A-Za-z]:")


def confine(root: str, name: str) -> str:
    """Return the path `name` below the absolute path `root`.

    Raises:
        InputError: the name is empty or absolute, has a drive, a control character or `..`.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    absolute = name.startswith(("/", "\\")) or _DRIVE.match(name)
    if absolute or not parts or ".." in parts or _unprintable(name):
        raise InputError(f"The path {name!r} leads out of {root}.")
    return str(PurePosixPath(host_directory(root), *parts))


def host_directory(given: str) -> str:
    """Return a user's path of a directory on a host in its plain form.

    Raises:
        InputError: the path is relative, has a drive, a control character or `..`, or is `/`.
    """
    path = given.replace("\\", "/").strip()
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/") or not parts or ".." in parts or _unprintable(path):
        raise InputError(
            f"{given!r} cannot be the directory for runs on a host.",
            hint="Give an absolute path, for example /home/me/cosmos.",
        )
    return "/" + "/".join(parts)


def _unprintable(text: str) -> bool:
    return any(ord(c) < 32 or ord(c) == 127 for c in text)
