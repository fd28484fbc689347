"""A Dagster run launcher that notices that a run's process has died.

Dagster's own launcher does not notice this (dagster issue 4319): after a crash or a reboot the run
stays `STARTED` for ever and keeps its place in the pool.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import dagster as dg

from cosmos_pipelines.backends.owner import owner_gone
from cosmos_pipelines.resources.dagster_private import (
    GRPC_INFO_TAG,
    CheckRunHealthResult,
    WorkerStatus,
    executed_by_code_server,
)

PROCESS_TAG: Final = ".dagster/cosmos_process"
"""Run tag, hidden on the page: `owner_name()` of a process that itself executes the run."""

MISSES: Final = 2
"""Number of checks in a row that must fail: a busy code server may answer too late once."""

TIMEOUT_S: Final = 5


class CheckedRunLauncher(dg.DefaultRunLauncher):
    """The default launcher with a health check."""

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self._misses: Counter[str] = Counter()

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Make Dagster's run monitor call the health check."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of `run` still runs; dead only after `MISSES` failed checks."""
        problem = self._problem(run)
        if problem is None:
            self._misses.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._misses[run.run_id] += 1
        if self._misses[run.run_id] < MISSES:
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"{problem} (checking once more)")
        del self._misses[run.run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, problem)

    def _problem(self, run: dg.DagsterRun) -> str | None:
        """Return why `run` seems dead; None if its process runs or its state is unknown."""
        if owner := run.tags.get(PROCESS_TAG):
            return f"the process {owner} of this run is gone" if owner_gone(owner) else None
        if GRPC_INFO_TAG not in run.tags:
            return None
        try:
            known = executed_by_code_server(self, run.run_id, timeout_s=TIMEOUT_S)
        except Exception as e:  # noqa: BLE001  # any error of gRPC: the code server did not answer
            return f"the code server of this run is gone ({type(e).__name__})"
        return None if known else "the process of this run is gone"
