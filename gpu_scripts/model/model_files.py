"""Write files so that they are whole on the disk under their name, or do not exist.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_judging import Failure
from model_log import one_line

FINISHED = "finished.json"
"""File of the run folder: what is finished already, in the form of `result.json`."""
Noted = dict[str, dict[str, Any]]
"""The facts of samples in the record, by run id."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk or a used-up quota."""


def move(made: Path, target: Path) -> None:
    """Give a finished file its name, after its content is on the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a `.part` path beside `target`; it becomes `target` if the block raises nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        move(part, target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with whole_file(target) as part:
        part.write_bytes(content)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def not_written(error: OSError) -> Failure:
    """Return the failure of a sample whose file cannot be read or written."""
    if error.errno in FULL:
        return Failure("disk_full", "No space left where the model runs.")
    return Failure("model_failed", f"A file cannot be read or written: {error.strerror or error}.")


class Finished:
    """The record of finished and failed samples; read during the order, and if the host dies."""

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
        """Record a file below `outputs/`, which has its name already.

        `digest`: the file's SHA-256; `samples`: the facts of all finished samples, by run.
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
        """Record why a sample will have no file; `say`: print the reason too."""
        self.failed[run_id] = [failure.kind, one_line(failure.sentence, 500)]
        if say:
            self._say(run_id)
        self._write()

    def say_again(self) -> None:
        """Print all failures again at the log's end: of a long log only the end may be read."""
        for run_id in self.failed:
            self._say(run_id)

    def _say(self, run_id: str) -> None:
        kind, sentence = self.failed[run_id]
        self._line(f"FAILED {run_id}: {kind}: {sentence}")

    def _write(self) -> None:
        data = {"outputs": self._outputs, "failed": self.failed, "samples": self._samples}
        self.write(FINISHED, data, "if the power fails now, the finished samples are not known")

    def write(self, name: str, data: object, consequence: str) -> None:
        """Write a file of the run folder; if that fails, print `consequence`."""
        try:
            write_whole(self._run / name, f"{json.dumps(data, indent=2)}\n".encode())
        except OSError as e:
            self._line(f"{name} cannot be written ({e.strerror or e}): {consequence}.")
