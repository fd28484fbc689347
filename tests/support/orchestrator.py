"""Executes runs in a separate process, which a test can kill: orchestrator.py HOME RUN_ID...

STAND_IN: path of the stand-in on the machine that executes it. LEASE_S: length of the leases.
DIE_AT: a status; the process is killed before it records this status.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.runs import claim, lease
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.settings import load_settings
from tests.support.stand_in_engine import PROGRAM, registered


class Mortal(Catalog):
    """Kills its process before it records the status DIE_AT."""

    def advance(self, run_id: str, owner: str, old: Any, new: Any, **given: Any) -> Run | None:
        """Advance the run, or kill this process at DIE_AT."""
        if new == os.environ.get("DIE_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().advance(run_id, owner, old, new, **given)


def main(home: str, *run_ids: str) -> int:
    """Execute runs and print their log; return 3 if another process has one of the runs."""
    lease.LEASE_S = claim.LEASE_S = int(os.environ.get("LEASE_S", lease.LEASE_S))
    settings = load_settings(Path(home))
    with registered(program=os.environ.get("STAND_IN", str(PROGRAM))):
        try:
            execute_runs(
                run_ids,
                catalog=Mortal.open(settings.catalog_url),
                settings=settings,
                backend=backend_for(settings),
                on_line=lambda _, line: print(line, flush=True),
            )
        except CosmosError as e:
            print(f"error: {e}", flush=True)
            return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
