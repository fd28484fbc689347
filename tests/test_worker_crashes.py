"""Workers of the queue whose processes are killed or interrupted, and whose catalog goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import update

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.deletion import plan_deletion
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.tables import runs as runs_table
from cosmos_pipelines.materialize import materialize_load
from cosmos_pipelines.settings import environment_of
from cosmos_pipelines.worker import Worker
from tests.support.dagster_project import add_run
from tests.support.postgres import running_server, stopped
from tests.support.project import Project, make_project
from tests.support.waiting import until


@pytest.fixture
def project(tmp_path: Path, site: None) -> Iterator[Project]:
    """A project with a scene."""
    project = make_project(tmp_path / "home")
    project.scene("city")
    yield project
    project.catalog.close()


@contextmanager
def worker(project: Project) -> Iterator[subprocess.Popen[str]]:
    """`cosmos queue work` in a process of its own."""
    command = [Path(sys.executable).with_name("cosmos"), "--home", project.settings.home]
    with subprocess.Popen(
        [*command, "queue", "work"],
        env={**environment_of(project.settings)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def in_state(project: Project, run: Run, status: str) -> Run:
    """The run as soon as it is so."""

    def look() -> Run | None:
        now = project.catalog.get_run(run.id)
        return now if now.status == status else None

    found = until(look, f"{run.id} {status}")
    assert found is not None
    return found


def process_of(run: Run) -> int:
    """The id of the process that executes a run."""
    assert run.leased_by is not None
    return int(run.leased_by.split(":")[1])


def test_a_worker_goes_on_with_a_run_whose_process_was_killed(project: Project, gate: Path) -> None:
    run = add_run(project, f"wait {gate}", queued=True)
    with worker(project) as at_work:
        os.kill(process_of(in_state(project, run, "running")), signal.SIGKILL)
        gate.unlink()
        said, _ = at_work.communicate()
    assert at_work.returncode == 0, said
    made = project.catalog.get_run(run.id)
    assert (made.status, made.attempt) == ("completed", 1), said


def test_a_run_that_another_worker_has_adopted_first_is_left_to_it_without_a_word(
    project: Project,
) -> None:
    run = add_run(project, queued=True)
    assert project.catalog.claim(run.id, owner_name())
    done = subprocess.run(
        [sys.executable, "-m", "cosmos_pipelines.worker"],
        env={**environment_of(project.settings)},
        input=f"{run.id}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_after_ctrl_c_nothing_runs_and_what_was_only_prepared_waits_again(project: Project) -> None:
    running = add_run(project, "hang", queued=True)
    with worker(project) as at_work:
        in_state(project, running, "running")
        prepared = add_run(project, "works", queued=True)
        in_state(project, prepared, "uploading")
        at_work.send_signal(signal.SIGINT)
        said, _ = at_work.communicate()
    assert at_work.returncode == 130
    assert "Traceback" not in said
    found = project.catalog.find_runs([running.id, prepared.id])
    assert found[running.id].status == "cancelled", said
    waits = found[prepared.id]
    assert (waits.status, waits.load_id, waits.leased_by) == ("pending", None, None), said
    assert project.catalog.open_loads() == []
    assert project.backend.active() == []


def test_what_runs_goes_on_while_the_database_is_away(
    tmp_path: Path, site: None, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server() as server:
        monkeypatch.setenv("COSMOS_DATABASE_URL", server)
        project = make_project(tmp_path / "home")
        project.scene("city")
        runs = [add_run(project, f"wait {gate}", queued=True, seed=1)]
        with worker(project) as at_work:
            in_state(project, runs[0], "running")
            with stopped(server):
                gate.unlink()
            said, _ = at_work.communicate()
        assert at_work.returncode == 0, said
        found = project.catalog.find_runs(run.id for run in runs)
        assert {(run.status, run.attempt) for run in found.values()} == {("completed", 1)}, said
        assert "Traceback" not in said
        project.catalog.close()


def test_a_run_that_is_deleted_in_a_load_leaves_its_mates_alone(
    project: Project,
) -> None:
    gone, mate = (add_run(project, queued=True, seed=seed) for seed in (1, 2))
    catalog, settings = project.catalog, project.settings
    wanted = NewLoad("local", "stand_in", "transfer", (gone.id, mate.id))
    load = catalog.claim_load(wanted, owner_name())
    assert load is not None
    plan_deletion(catalog, "run", gone.id, settings.outputs).execute(catalog)
    materialize_load(catalog, settings, load.id)
    assert catalog.get_run(mate.id).status == "completed"
    assert catalog.open_loads() == []


def test_a_run_whose_place_is_in_the_settings_no_more_fails_and_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmos_pipelines.worker.TRIES", 1)
    run = add_run(project, queued=True)
    with project.catalog.write() as tx:
        moved = update(runs_table).where(runs_table.c.id == run.id).values(backend="old_host")
        tx.connection.execute(moved)
    Worker(project.catalog, project.settings, print).work()
    failed = project.catalog.get_run(run.id)
    assert (failed.status, failed.error_kind) == ("failed", "launch_failed")
    assert "There is no backend 'old_host'" in (failed.error_message or "")
