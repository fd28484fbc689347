"""How much room a disk of a host has, as `df -Pk` tells it."""

from __future__ import annotations

from cosmos_pipelines.foreign import whole


def free_bytes(line: str) -> int | None:
    """Return the bytes that users may still write, from a file system's line of `df -Pk`.

    None: it is no such line. The columns are those of POSIX: file system, blocks of 1024 bytes,
    used, available, capacity, mount point.
    """
    words = line.split()
    kib = whole(words[3]) if len(words) >= 6 else None
    return None if kib is None else kib << 10
