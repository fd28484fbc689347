"""Executes a run and stops at a step until a line comes on stdin: orchestrator.py HOME STEP RUN_ID

The process prints each line of the log, and `AT <step>` at the step. STEP `-`: no stop. LEASE_S:
length of the leases. Backend and catalog are the real ones, with a stop before some of their calls.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.registry import host_backend
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.backends.ssh.launch import Launching
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.operations.base import Outcome
from cosmos_pipelines.runs import claim, lease
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.settings import load_settings
from tests.support.stand_in_engine import registered

PROGRAM = "/models/model.py"


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


class SteppedCatalog(Catalog):
    """Stops before a run is recorded as completed."""

    def advance(self, run_id: str, owner: str, expected: Any, new: Any, **given: Any) -> Run | None:
        if new == "completed":
            Stops.at("record")
        return super().advance(run_id, owner, expected, new, **given)


def main(home: str, step: str, run_id: str) -> int:
    """Execute the run; return 3 if another process has the run."""
    Stops.wanted = step
    lease.LEASE_S = claim.LEASE_S = int(os.environ.get("LEASE_S", lease.LEASE_S))
    settings = load_settings(Path(home))
    backend = host_backend(settings)
    backend.__class__ = SteppedBackend
    given = {f.name: getattr(backend._launching, f.name) for f in fields(Launching)}
    backend._launching = SteppedLaunching(**given)
    with registered(program=PROGRAM):
        try:
            execute_runs(
                [run_id],
                catalog=SteppedCatalog.open(settings.catalog_url),
                settings=settings,
                backend=backend,
                on_line=lambda _, line: print(line, flush=True),
            )
        except CosmosError as e:
            print(f"error: {e}", flush=True)
            return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
