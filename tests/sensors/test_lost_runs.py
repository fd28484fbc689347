"""Runs whose process died are found, and brought to their end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg

from cosmos_pipelines.assets.jobs import BATCH, BY, LOST
from cosmos_pipelines.assets.partitions import VIDEOS, latest
from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.sensors.lost_runs import lost_runs
from tests.support.dagster_project import add_run, failure_of, run_job, tick
from tests.support.processes import gone_owner
from tests.support.project import Project

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_is_requested_while_every_process_lives(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    staged.catalog.claim(add_run(staged).id, owner_name())
    result, _ = tick(staged, lost_runs, instance, None)
    assert isinstance(result, dg.SkipReason)


def test_a_run_whose_process_was_killed_is_finished_by_the_next_dagster_run(
    staged: Project, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    run = add_run(staged, f"wait {gate}")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.orchestrator", str(staged.settings.home), run.id],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any("frame 1/" in line for line in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.wait()
    result, _ = tick(staged, lost_runs, instance, None)
    (request,) = result.run_requests
    assert request.job_name == BATCH
    ids = request.run_config["ops"]["execute_batch"]["config"]["run_ids"]
    assert ids == [run.id]
    gate.unlink()
    result = run_job(staged, instance, BATCH, "execute_batch", run_ids=ids)
    assert result.success, failure_of(result)
    assert staged.catalog.get_run(run.id).status == "completed"
    log = staged.settings.outputs / f"run_{run.id}" / "logs" / "run.log"
    assert log.read_text().count("frame 1/6") == 1  # never started twice
    assert latest(instance, VIDEOS, run.id) is not None


def test_a_run_that_another_dispatcher_has_adopted_meanwhile_fails_no_dagster_run(
    staged: Project, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    run = add_run(staged, f"wait {gate}")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.orchestrator", str(staged.settings.home), run.id],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert any("frame 1/" in line for line in other.stdout)
        told = {"tags": {BY: LOST}, "run_ids": [run.id]}
        result = run_job(staged, instance, BATCH, "execute_batch", **told)
        gate.unlink()
        other.communicate()
    assert result.success, failure_of(result)
    assert staged.catalog.get_run(run.id).status == "completed"


def test_the_dagster_run_of_a_dead_process_gives_back_its_place(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged)

    @dg.op
    def nothing() -> None: ...

    @dg.job
    def some() -> None:
        nothing()

    zombie = instance.create_run_for_job(some, status=dg.DagsterRunStatus.STARTED)
    gone = gone_owner()
    assert staged.catalog.claim(run.id, gone, dagster_run_id=zombie.run_id)
    result, _ = tick(staged, lost_runs, instance, None)
    assert len(result.run_requests) == 1
    buried = instance.get_run_by_id(zombie.run_id)
    assert buried is not None
    assert buried.status == dg.DagsterRunStatus.FAILURE


def test_a_loss_has_one_key_until_its_dagster_run_has_ended_and_the_next_loss_another(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged)
    staged.catalog.claim(run.id, gone_owner())
    keys = [tick(staged, lost_runs, instance, None)[0].run_requests[0].run_key for _ in range(2)]
    staged.catalog.release(run.id, gone_owner())
    staged.catalog.adopt(run.id, gone_owner(2))
    keys.append(tick(staged, lost_runs, instance, None)[0].run_requests[0].run_key)
    assert keys[0] == keys[1] != keys[2]
