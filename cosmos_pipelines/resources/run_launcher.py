"""A Dagster run launcher that notices that a run's process has died.

Dagster's own launcher does not notice this (dagster issue 4319): after a crash or a reboot the run
stays `STARTED` for ever and keeps its place in the pool.

A process that can be seen from here tells whether it lives. One that cannot (another boot, machine
or container) is neither dead nor alive for us. The catalog knows more: while such a process
executes a run, it renews the lease of that run. Where no run of ours has been leased for a Dagster
run for `UNKNOWN_S`, the Dagster run is dead. So a reboot frees the pool after two minutes at most,
and a clone of this machine, with the same host name and machine id, keeps what it executes: which
of the two it is does not matter.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

import dagster as dg

from cosmos_pipelines.backends.owner import (
    owner_holds,
    owner_name,
    owner_seen_from_here,
    owner_shown,
    owner_state,
)
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.resources.dagster_private import (
    GRPC_INFO_TAG,
    CheckRunHealthResult,
    WorkerStatus,
    executed_by_code_server,
)
from cosmos_pipelines.settings import load_settings

PROCESS_TAG: Final = ".dagster/cosmos_process"
"""Run tag, hidden on the page: `owner_name()` of a process that itself executes the run."""
LAUNCHED_TAG: Final = ".dagster/cosmos_launched_by"
"""Run tag, hidden on the page: `owner_name()` of the process that gave the run to its code server.
The address of a code server is `localhost`: it means another one on another machine."""

MISSES: Final = 2
"""Number of checks in a row that must fail: a busy code server may answer too late once."""

TIMEOUT_S: Final = 5
UNKNOWN_S: Final = 120.0
"""Seconds without a lease after which a run of an unknown process is dead: four times a lease."""


class CheckedRunLauncher(dg.DefaultRunLauncher):
    """The default launcher with a health check."""

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self._misses: Counter[str] = Counter()
        self._unknown_since: dict[str, float] = {}

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Make Dagster's run monitor call the health check."""
        return True

    def launch_run(self, context: Any) -> None:
        """Launch a run as Dagster does; note from where."""
        run_id = context.dagster_run.run_id
        self._instance.add_run_tags(run_id, {LAUNCHED_TAG: owner_name()})
        super().launch_run(context)

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of `run` still runs; dead only after `MISSES` failed checks.

        Raises:
            SettingsError, InputError: its process cannot be seen from here, and the catalog, which
                would tell, cannot be read.
        """
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
        """Return why `run` seems dead; None if its process runs or may run."""
        if owner := run.tags.get(PROCESS_TAG):
            state = owner_state(owner)
            if state == "unknown":
                return self._no_sign_of_life(run, owner)
            self._unknown_since.pop(run.run_id, None)
            gone = f"{owner_shown(owner)}, which executed this run, is gone"
            return gone if state == "gone" else None
        if GRPC_INFO_TAG not in run.tags:
            return self._no_sign_of_life(run, None) if self._of_earlier_boot(run) else None
        launched_by = run.tags.get(LAUNCHED_TAG)
        if launched_by is not None and not owner_seen_from_here(launched_by):
            return self._no_sign_of_life(run, launched_by)
        try:
            known = executed_by_code_server(self, run.run_id, timeout_s=TIMEOUT_S)
        except Exception as e:  # noqa: BLE001  # any error of gRPC: the code server did not answer
            return f"the code server of this run is gone ({type(e).__name__})"
        return None if known else "the process of this run is gone"

    def _no_sign_of_life(self, run: dg.DagsterRun, owner: str | None) -> str | None:
        """Return why a run whose process cannot be seen is dead; None while it may live."""
        now = time.monotonic()
        since = self._unknown_since.setdefault(run.run_id, now)
        if _is_leased(run.run_id):
            self._unknown_since[run.run_id] = now
            return None
        if now - since < UNKNOWN_S:
            return None
        whose = owner_shown(owner) if owner else "its process"
        return f"no sign of life of {whose} for {UNKNOWN_S:.0f} s"

    def _of_earlier_boot(self, run: dg.DagsterRun) -> bool:
        """Whether a run of which nothing else is known began before this machine did."""
        record = self._instance.get_run_record_by_id(run.run_id)
        booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return record is not None and (record.start_time or time.time()) < booted_at


def _is_leased(dagster_run_id: str) -> bool:
    """Whether a process executes runs of ours for a Dagster run, by the leases in the catalog."""
    settings = load_settings()
    with Catalog.open(settings.catalog_url, settings.home) as catalog:
        return any(
            run.dagster_run_id == dagster_run_id and owner_holds(run.leased_by, run.leased_until)
            for run in catalog.active_runs()
        )
