"""Dagster's run launcher, which notices that a run's process has died.

The stock launcher cannot tell (dagster issue 4319), so that after a crash or a reboot its run stays
`STARTED` for ever and keeps the place of its pool.
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
"""Run tag, hidden on the page: `owner_name()` of a process that executes the run by itself."""

MISSES: Final = 2
"""Looks in a row that must fail: a busy code server may once be slow to answer."""

TIMEOUT_S: Final = 5


class CheckedRunLauncher(dg.DefaultRunLauncher):
    """The default launcher with a health check."""

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self._misses: Counter[str] = Counter()

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Makes the run monitor ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process that executes `run` lives; dead only after `MISSES` looks."""
        trouble = self._trouble(run)
        if trouble is None:
            self._misses.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._misses[run.run_id] += 1
        if self._misses[run.run_id] < MISSES:
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"{trouble} (looking once more)")
        del self._misses[run.run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, trouble)

    def _trouble(self, run: dg.DagsterRun) -> str | None:
        """Why `run` seems dead; None if it lives or nobody can tell."""
        if owner := run.tags.get(PROCESS_TAG):
            return f"its process {owner} is gone" if owner_gone(owner) else None
        if GRPC_INFO_TAG not in run.tags:
            return None
        try:
            known = executed_by_code_server(self, run.run_id, timeout_s=TIMEOUT_S)
        except Exception as e:  # noqa: BLE001  # whatever gRPC raises: it did not answer
            return f"the code server of this run is gone ({type(e).__name__})"
        return None if known else "its process is gone"
