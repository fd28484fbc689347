"""The private and undocumented parts of Dagster that we use, and no other file may import.

Tried with Dagster 1.13.27. What `import dagster` does not load by itself is loaded when it is asked
for: gRPC takes 0.1 s, the daemon and the web server 0.6 s each. `dagster.yaml` names one more, the
run coordinator's module, as Dagster's own documents do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as EVALUATED,
)
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

if TYPE_CHECKING:
    from starlette.types import ASGIApp

FORK_RUNS: Final = "_COSMOS_FORK_RUNS"
"""Set in the environment of our daemon, for its code server; no setting of a project."""
NO_CAPTURES: Final = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
"""Overrides of an instance that leave a run's stdout and stderr where they are."""

TAG_LIMITS: Final = "tag_concurrency_limits"
_STORAGES: Final = {"storage", "run_storage", "event_log_storage", "schedule_storage"}


def instance_at(
    directory: Path, overrides: dict[str, Any], *, config: Path | None = None
) -> dg.DagsterInstance:
    """The instance of a directory with a dagster.yaml, some of whose settings are overridden.

    `config`: the directory whose dagster.yaml is taken; default: the same.
    """
    ref = InstanceRef.from_dir(
        str(directory), config_dir=str(config or directory), overrides=overrides
    )
    return dg.DagsterInstance.from_ref(ref)


def names_databases(directory: Path) -> bool:
    """Whether the dagster.yaml of a directory says where Dagster's records are kept."""
    from dagster._core.instance.config import dagster_instance_config

    said, _ = dagster_instance_config(str(directory))
    return not _STORAGES.isdisjoint(said)


def reference_to(
    directory: Path, defaults: Mapping[str, Any], limits: Sequence[Mapping[str, Any]]
) -> InstanceRef:
    """The instance of a directory with a dagster.yaml; `defaults` fill what that leaves out.

    `limits`: how many Dagster runs with a tag may run at once, where its queue limits no tag.
    """
    from dagster._core.instance.config import dagster_instance_config

    said, _ = dagster_instance_config(str(directory))
    overrides = {name: value for name, value in defaults.items() if name not in said}
    overrides |= _with_limits(said, [dict(limit) for limit in limits])
    return InstanceRef.from_dir(str(directory), overrides=overrides)


def _with_limits(said: Mapping[str, Any], limits: list[dict[str, Any]]) -> dict[str, Any]:
    """What to override; Dagster refuses limits of its queue in two places of one file."""
    shared, queue = said.get("concurrency") or {}, said.get("run_coordinator") or {}
    runs, own = shared.get("runs") or {}, queue.get("config") or {}
    if TAG_LIMITS in {*runs, *own}:
        return {}
    if shared:
        return {"concurrency": {**shared, "runs": {**runs, TAG_LIMITS: limits}}}
    if queue.get("class") == "QueuedRunCoordinator":
        return {"run_coordinator": {**queue, "config": {**own, TAG_LIMITS: limits}}}
    return {}


def last_checked_at(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey, partition: str
) -> float | None:
    """When a check of a partition was last evaluated, in seconds since 1970; None: never."""
    found = instance.event_log_storage.get_asset_check_execution_history(
        check, limit=1, status=EVALUATED, partition_filter=PartitionKeyFilter(key=partition)
    )
    return found[0].event.timestamp if found and found[0].event else None


def events_file(instance: dg.DagsterInstance, run_id: str) -> Path | None:
    """The SQLite file with the events of one run; None: they are in another database."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return None
    return Path(storage.path_for_shard(run_id))


def executed_by_code_server(
    launcher: dg.DefaultRunLauncher, run_id: str, *, timeout_s: int
) -> bool:
    """Whether the code server of a run executes it, or it has ended meanwhile.

    Raises whatever gRPC raises where the code server does not answer.
    """
    from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
    from dagster._serdes import deserialize_value

    client = launcher._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call]
    if client is None:  # it has ended meanwhile
        return True
    request = CanCancelExecutionRequest(run_id=run_id)
    answer = client.can_cancel_execution(request, timeout=timeout_s)
    return deserialize_value(answer, CanCancelExecutionResult).can_cancel


def fork_runs(preload: Sequence[str]) -> None:
    """Have the code server of our daemon, if this is it, fork the processes of runs.

    Dagster 1.13 starts a new Python for each run, which imports Dagster and the project for 1.5 s.
    They are forked from a process that has imported these modules instead. That process executes
    nothing, has no threads, and ends with the code server; the runs go on, as Dagster's own do.
    Only on Linux: elsewhere the system's libraries may not be used after a fork.
    """
    ours = os.environ.get(FORK_RUNS) and sys.argv[1:3] == ["api", "grpc"]
    if not ours or sys.platform != "linux":
        return
    import multiprocessing
    from multiprocessing import context, forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload([*preload])
    context.SpawnContext.Process = context.ForkServerContext.Process  # type: ignore[assignment]
    forkserver.ensure_running()


def run_daemon(words: Sequence[str], reference: InstanceRef, *, ask_s: int) -> None:
    """`dagster-daemon` of an instance, with these words, until this process is interrupted.

    `ask_s`: how often it looks which sensors are due, in seconds.
    """
    from dagster._daemon import sensor
    from dagster._daemon.cli import create_dagster_daemon_cli
    from dagster._serdes import serialize_value

    # Dagster 1.13 asks its sensors no sooner than 5 s after it asked last, whatever they say
    # themselves; `new_scenes` would see nothing from the moment it asked for a scene until then.
    sensor.MIN_INTERVAL_LOOP_TIME = ask_s
    command = [*words, "--instance-ref", serialize_value(reference)]
    create_dagster_daemon_cli()(command, standalone_mode=False)


@contextmanager
def web_app(
    instance: dg.DagsterInstance, workspace: Path, *, poll_ms: int
) -> Iterator[tuple[ASGIApp, Callable[[], None]]]:
    """Dagster's page as an application, with the code servers of a workspace file behind it.

    The second value loads the code anew, as the page's button `Reload definitions` does.
    """
    from dagster_webserver.webserver import DagsterWebserver

    target = WorkspaceFileTarget([str(workspace)])
    with WorkspaceProcessContext(instance, target, code_server_log_level="warning") as context:
        yield DagsterWebserver(context, "", poll_ms).create_asgi_app(), context.reload_workspace


__all__ = [
    "FORK_RUNS",
    "GRPC_INFO_TAG",
    "NO_CAPTURES",
    "AssetCheckEvaluationTargetMaterializationData",
    "CheckRunHealthResult",
    "DagsterAssetCheckFailedError",
    "InstanceRef",
    "WorkerStatus",
    "events_file",
    "executed_by_code_server",
    "fork_runs",
    "instance_at",
    "last_checked_at",
    "names_databases",
    "reference_to",
    "run_daemon",
    "web_app",
]


def instance_id(instance: dg.DagsterInstance) -> str:
    """An id that all processes see in one instance and no other has (Dagster's telemetry's)."""
    return str(cast(SqlRunStorage, instance.run_storage).get_run_storage_id())
