"""Files that are whole on the disk under their name, or not there.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

FINISHED = "finished.json"
"""In the run folder: what is finished, as `result.json` will tell it, should that never come."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a disk, or a share of it, that is full."""


def move(made: Path, target: Path) -> None:
    """Give a finished file its name; its content is on the disk before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        part.write_bytes(content)
        move(part, target)
    finally:
        part.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The hash of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Finished:
    """The outputs that are finished so far, kept for the case that the host dies."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._outputs: dict[str, dict[str, str | int]] = {}

    def add(self, output: str, digest: str | None = None) -> None:
        """Tell of a file below `outputs/`, which has its name already; `digest`: its SHA-256."""
        path = self._run / output
        facts: dict[str, str | int] = {"sha256": digest or sha256_of(path)}
        facts["size"] = path.stat().st_size
        self._outputs[output.removeprefix("outputs/")] = facts
        text = json.dumps({"outputs": self._outputs}, indent=2)
        write_whole(self._run / FINISHED, f"{text}\n".encode())
