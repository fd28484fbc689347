"""Dagster's run launcher, which notices that a run's process has died.

The stock launcher cannot tell (dagster issue 4319), so that after a crash or a reboot its run stays
`STARTED` for ever and keeps the place of its pool. Leans on private parts of Dagster 1.13.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.tags import GRPC_INFO_TAG

from cosmos_pipelines.backends.owner import owner_gone

PROCESS_TAG: Final = ".dagster/cosmos_process"
"""Run tag, hidden on the page: `owner_name()` of a process that executes the run by itself."""

MISSES: Final = 2
"""Looks in a row that must fail: a busy code server may once be slow to answer."""

TIMEOUT_S: Final = 5


class CheckedRunLauncher(DefaultRunLauncher):
    """The default launcher with a health check."""

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self._misses: Counter[str] = Counter()

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Makes the run monitor ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
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

    def _trouble(self, run: DagsterRun) -> str | None:
        """Why `run` seems dead; None if it lives or nobody can tell."""
        if owner := run.tags.get(PROCESS_TAG):
            return f"its process {owner} is gone" if owner_gone(owner) else None
        if GRPC_INFO_TAG not in run.tags:
            return None
        try:
            known = self._known_to_code_server(run.run_id)
        except Exception as e:  # noqa: BLE001  # whatever gRPC raises: it did not answer
            return f"the code server of this run is gone ({type(e).__name__})"
        return None if known else "its process is gone"

    def _known_to_code_server(self, run_id: str) -> bool:
        from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
        from dagster._serdes import deserialize_value

        client = self._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call]
        if client is None:  # it has ended meanwhile
            return True
        request = CanCancelExecutionRequest(run_id=run_id)
        answer = client.can_cancel_execution(request, timeout=TIMEOUT_S)
        return deserialize_value(answer, CanCancelExecutionResult).can_cancel
