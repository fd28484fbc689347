"""The run launcher tells dead runs from living ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEventType

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.resources import run_launcher
from cosmos_pipelines.resources.dagster_private import GRPC_INFO_TAG, WorkerStatus
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.resources.run_launcher import (
    LAUNCHED_TAG,
    MISSES,
    PROCESS_TAG,
    CheckedRunLauncher,
)
from cosmos_pipelines.settings import load_settings
from tests.support.processes import CONTAINER, needs, owner_of_another_boot, python_in
from tests.support.project import settings_in


@dg.op
def nothing() -> None: ...


@dg.job
def some() -> None:
    nothing()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("COSMOS_HOME", str(tmp_path))
    with open_instance(settings_in(tmp_path, "")) as opened:
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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes between the last sign of life of an unknown process and its death."""
    monkeypatch.setattr(run_launcher, "UNKNOWN_S", 0)


def leased_for(instance: dg.DagsterInstance, run: dg.DagsterRun, owner: str) -> Catalog:
    """The project's catalog, with a run that `owner` executes for a Dagster run."""
    settings = load_settings()
    catalog = Catalog.open(settings.catalog_url)
    entered = catalog.add_run("transfer", "preview", "local", {})
    assert catalog.claim(entered.id, owner, dagster_run_id=run.run_id)
    return catalog


def test_a_run_of_another_boot_or_a_clone_of_this_machine_is_alive_while_it_renews_a_lease(
    instance: dg.DagsterInstance, impatient: None
) -> None:
    owner = owner_of_another_boot()
    run = started(instance, **{PROCESS_TAG: owner})
    with leased_for(instance, run, owner):
        assert looks(instance, run, 3) == [WorkerStatus.RUNNING] * 3


def test_no_run_stays_started_for_ever_after_a_reboot(
    instance: dg.DagsterInstance, impatient: None
) -> None:
    owner = owner_of_another_boot()
    run = started(instance, **{PROCESS_TAG: owner})
    with leased_for(instance, run, owner) as catalog:
        (entered,) = catalog.active_runs()
        catalog.renew([entered.id], owner, now=entered.created_at.replace(year=2000))
        assert looks(instance, run, MISSES) == [WorkerStatus.RUNNING, WorkerStatus.FAILED]


@pytest.mark.parametrize("tag", [PROCESS_TAG, LAUNCHED_TAG])
def test_a_run_that_cannot_be_seen_from_here_has_two_minutes_for_a_sign_of_life(
    instance: dg.DagsterInstance, tmp_path: Path, tag: str
) -> None:
    where = json.dumps({"host": "localhost", "socket": str(tmp_path / "gone.sock")})
    run = started(instance, **{tag: owner_of_another_boot(), GRPC_INFO_TAG: where})
    assert looks(instance, run, 5) == [WorkerStatus.RUNNING] * 5


def test_a_run_whose_code_server_is_on_another_machine_is_dead_without_a_lease(
    instance: dg.DagsterInstance, tmp_path: Path, impatient: None
) -> None:
    where = json.dumps({"host": "localhost", "socket": str(tmp_path / "gone.sock")})
    run = started(instance, **{LAUNCHED_TAG: owner_of_another_boot(), GRPC_INFO_TAG: where})
    assert looks(instance, run, MISSES) == [WorkerStatus.RUNNING, WorkerStatus.FAILED]


def test_a_run_of_another_container_with_the_same_host_name_is_left_alone(
    instance: dg.DagsterInstance,
) -> None:
    code = "from cosmos_pipelines.backends.owner import owner_name; print(owner_name(), flush=True)"
    process = python_in(needs(CONTAINER), f"{code}; import sys; sys.stdin.read()")
    assert process.stdout is not None
    run = started(instance, **{PROCESS_TAG: process.stdout.readline().strip()})
    assert looks(instance, run, 3) == [WorkerStatus.RUNNING] * 3
    process.communicate()


def test_a_run_of_which_nothing_is_known_but_that_it_began_before_this_boot_is_dead(
    instance: dg.DagsterInstance, impatient: None
) -> None:
    old = instance.create_run_for_job(some)
    event = dg.DagsterEvent(DagsterEventType.RUN_START.value, some.name)
    instance.handle_new_event(
        dg.EventLogEntry(
            error_info=None,
            level="debug",
            user_message="",
            run_id=old.run_id,
            timestamp=1_000_000_000.0,
            dagster_event=event,
        )
    )
    run = instance.get_run_by_id(old.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.STARTED
    assert looks(instance, run, MISSES) == [WorkerStatus.RUNNING, WorkerStatus.FAILED]
