"""Files that are whole on the disk under their name, or not there.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_judging import Failure
from model_log import one_line

FINISHED = "finished.json"
"""In the run folder: what is finished already, as `result.json` will tell it in the end."""
Noted = dict[str, dict[str, Any]]
"""What the record has of samples, by run id."""
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


def not_written(error: OSError) -> Failure:
    """What the system's refusal of a sample's file means for it."""
    if error.errno in FULL:
        return Failure("disk_full", "No space left where the model runs.")
    return Failure("model_failed", f"A file cannot be read or written: {error.strerror or error}.")


class Finished:
    """What has become of the samples so far: read while others are made, or if the host dies."""

    def __init__(self, run: Path, say: Callable[[str], None]) -> None:
        self._run = run
        self._line = say
        self._outputs: dict[str, dict[str, str | int]] = {}
        self._samples: Noted = {}
        self.failed: dict[str, list[str]] = {}
        """Run id -> kind and sentence."""

    def add(
        self,
        output: str,
        digest: str | None = None,
        samples: Noted | None = None,
    ) -> None:
        """Tell of a file below `outputs/`, which has its name already.

        `digest`: its SHA-256; `samples`: what the record has of all those made so far, by run.
        """
        try:
            path = self._run / output
            facts: dict[str, str | int] = {"sha256": digest or sha256_of(path)}
            facts["size"] = path.stat().st_size
        except OSError as e:
            self._line(f"{output} cannot be read: {e.strerror or e}.")
            return
        self._outputs[output.removeprefix("outputs/")] = facts
        self._samples = samples or {}
        self._write()

    def fail(self, run_id: str, failure: Failure, *, say: bool = True) -> None:
        """Tell why a sample will have no file; without `say`, the log tells it already."""
        self.failed[run_id] = [failure.kind, one_line(failure.sentence, 500)]
        if say:
            self._say(run_id)
        self._write()

    def say_again(self) -> None:
        """What failed, once more at the log's end: of a long log only that may be read."""
        for run_id in self.failed:
            self._say(run_id)

    def _say(self, run_id: str) -> None:
        kind, sentence = self.failed[run_id]
        self._line(f"FAILED {run_id}: {kind}: {sentence}")

    def _write(self) -> None:
        told = {"outputs": self._outputs, "failed": self.failed, "samples": self._samples}
        self.write(FINISHED, told, "a power cut now would cost what it tells")

    def write(self, name: str, told: object, otherwise: str) -> None:
        """Write a file of the run folder; what happens where that cannot be is said."""
        try:
            write_whole(self._run / name, f"{json.dumps(told, indent=2)}\n".encode())
        except OSError as e:
            self._line(f"{name} cannot be written ({e.strerror or e}): {otherwise}.")
