"""The run launcher tells dead runs from living ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.resources.dagster_private import GRPC_INFO_TAG, WorkerStatus
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.resources.run_launcher import MISSES, PROCESS_TAG, CheckedRunLauncher
from cosmos_pipelines.settings import Settings


@dg.op
def nothing() -> None: ...


@dg.job
def some() -> None:
    nothing()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings(home=tmp_path)) as opened:
        yield opened


def started(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    return instance.create_run_for_job(some, tags=tags, status=dg.DagsterRunStatus.STARTED)


def looks(instance: dg.DagsterInstance, run: dg.DagsterRun, times: int) -> list[WorkerStatus]:
    launcher = instance.run_launcher
    assert isinstance(launcher, CheckedRunLauncher)
    return [launcher.check_run_worker_health(run).status for _ in range(times)]


def test_our_dagster_yaml_uses_it(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, CheckedRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    assert instance.run_monitoring_enabled
    assert not instance.telemetry_enabled


def test_a_run_that_a_living_process_executes_by_itself_is_left_alone(
    instance: dg.DagsterInstance,
) -> None:
    run = started(instance, **{PROCESS_TAG: owner_name()})
    assert looks(instance, run, 3) == [WorkerStatus.RUNNING] * 3


def test_a_run_whose_process_was_killed_is_dead_after_two_looks(
    instance: dg.DagsterInstance,
) -> None:
    code = "from cosmos_pipelines.backends.owner import owner_name; print(owner_name())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    run = started(instance, **{PROCESS_TAG: done.stdout.strip()})
    assert looks(instance, run, MISSES) == [WorkerStatus.RUNNING, WorkerStatus.FAILED]


def test_a_run_whose_code_server_is_gone_is_dead_after_two_looks(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    where = json.dumps({"host": "localhost", "socket": str(tmp_path / "gone.sock")})
    run = started(instance, **{GRPC_INFO_TAG: where})
    assert looks(instance, run, MISSES) == [WorkerStatus.RUNNING, WorkerStatus.FAILED]


def test_a_run_of_which_nothing_is_known_is_left_alone(instance: dg.DagsterInstance) -> None:
    assert looks(instance, started(instance), 3) == [WorkerStatus.RUNNING] * 3
