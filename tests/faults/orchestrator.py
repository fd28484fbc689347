"""Executes a run and stops at a step until a line comes on stdin: orchestrator.py HOME STEP RUN_ID

The process prints each line of the log, and `AT <step>` at the step. STEP `-`: no stop. LEASE_S:
length of the leases. Backend and catalog are the real ones, with a stop before some of their calls.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, ClassVar

from cosmos_pipelines import files
from cosmos_pipelines.backends import local
from cosmos_pipelines.backends.base import Backend, Handle
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.backends.ssh.launch import Launching
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.operations.base import Order, Outcome
from cosmos_pipelines.remote.files import cas
from cosmos_pipelines.runs import claim, lease
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.settings import load_settings
from tests.support.stand_in_engine import registered


class Stops:
    """The step at which the process stops once."""

    wanted = "-"

    @classmethod
    def at(cls, step: str) -> None:
        """Stop if `step` is the wanted step."""
        if step == cls.wanted:
            cls.wanted = "-"
            print(f"AT {step}", flush=True)
            sys.stdin.readline()


class SteppedLaunching(Launching):
    """Stops before the upload and before the start of the container."""

    def _upload(self, *given: Any) -> None:
        Stops.at("upload")
        super()._upload(*given)

    def _start(self, *given: Any) -> Any:
        Stops.at("start")
        return super()._start(*given)


class SteppedBackend(SshBackend):
    """Stops after the end of the run, and before the download of its output."""

    def outcome(self, handle: Handle) -> Outcome:
        Stops.at("outcome")
        return super().outcome(handle)

    def collect(
        self, handle: Handle, names: Mapping[str, Path], outcome: Outcome | None = None
    ) -> None:
        Stops.at("collect")
        super().collect(handle, names, outcome)


class SteppedLocal(LocalBackend):
    """Stops before and in the middle of copies, before and after the start, and after the end."""

    def launch(self, order: Order, before_start: Callable[[], None] | None = None) -> Handle:
        Stops.at("upload")
        handle = super().launch(order, before_start)
        Stops.at("started")
        return handle

    @contextmanager
    def _lock(self) -> Iterator[IO[str]]:
        Stops.at("start")  # not with the lock: who is frozen then would hold up the next one
        with super()._lock() as lock:
            yield lock

    def outcome(self, handle: Handle) -> Outcome:
        Stops.at("outcome")
        return super().outcome(handle)


class SteppedCopy:
    """Copies a file as `files.copy_verified`, and stops after its first piece."""

    step: ClassVar[str]

    def __init__(self, step: str) -> None:
        self.step = step

    def __call__(self, source: Path, target: Path, sha256: str) -> None:
        files.hashlib = SimpleNamespace(sha256=self._digest)  # type: ignore[assignment]
        try:
            files.copy_verified(source, target, sha256)
        finally:
            files.hashlib = hashlib

    def _digest(self, *whole: bytes) -> Any:
        if whole:  # not of the file
            return hashlib.sha256(*whole)
        digest, step, pieces = hashlib.sha256(), self.step, []

        def update(piece: bytes) -> None:
            if pieces:
                Stops.at(step)
            pieces.append(len(piece))
            digest.update(piece)

        return SimpleNamespace(update=update, hexdigest=digest.hexdigest)


class SteppedCatalog(Catalog):
    """Stops before a run is recorded as completed."""

    def advance(self, run_id: str, owner: str, expected: Any, new: Any, **given: Any) -> Run | None:
        if new == "completed":
            Stops.at("record")
        return super().advance(run_id, owner, expected, new, **given)


def stepped(backend: Backend) -> Backend:
    """Return the backend with its stops."""
    if isinstance(backend, LocalBackend):
        cas.copy_verified = SteppedCopy("uploading")
        local.copy_verified = SteppedCopy("downloading")
        backend.__class__ = SteppedLocal
        return backend
    assert isinstance(backend, SshBackend)
    backend.__class__ = SteppedBackend
    given = {f.name: getattr(backend._launching, f.name) for f in fields(Launching)}
    backend._launching = SteppedLaunching(**given)
    return backend


def main(home: str, step: str, run_id: str) -> int:
    """Execute the run; return 3 if another process has the run."""
    Stops.wanted = step
    lease.LEASE_S = claim.LEASE_S = int(os.environ.get("LEASE_S", lease.LEASE_S))
    settings = load_settings(Path(home))
    with registered(program=os.environ["MODEL"]):
        try:
            execute_runs(
                [run_id],
                catalog=SteppedCatalog.open(settings.catalog_url),
                settings=settings,
                backend=stepped(backend_for(settings)),
                on_line=lambda _, line: print(line, flush=True),
            )
        except CosmosError as e:
            print(f"error: {e}", flush=True)
            return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
