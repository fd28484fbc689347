"""A run of a batch is completed as soon as it is made, while the model goes on with the others."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cosmos_pipelines.catalog.deletion import plan_deletion
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import DiskFull, StateError, Unreachable
from cosmos_pipelines.operate.kill import kill
from tests.rig.machine import until
from tests.runs.test_finished_work import execute, kill_all, loads, not_home, pending, project
from tests.support.project import Project, make_project

__all__ = ["project"]

ROOT = Path(__file__).resolve().parents[2]


def test_runs_of_a_batch_are_completed_one_by_one_while_the_model_goes_on(
    project: Project,
) -> None:
    runs = pending(project, "one", "two", "three [sim:slow 0.2]")
    seen: list[list[str]] = []

    def note(done: Run) -> None:
        assert (project.settings.home / done.outputs["video"]).is_file()
        seen.append([project.catalog.get_run(run.id).status for run in runs])

    ended = execute(project, *runs, on_completed=note)
    assert seen == [
        ["completed", "running", "running"],
        ["completed", "completed", "running"],
        ["completed", "completed", "completed"],
    ]
    assert [run.exit_code for run in ended] == [None, None, 0]  # of a program that went on
    assert all((run.progress or {})["text"].endswith(": made") for run in ended)
    assert all("seconds" in run.outputs["timing"] for run in ended)
    assert loads(project, ended[0]) == 1
    assert project.backend.active() == []


def test_a_run_that_is_home_stays_completed_when_its_load_dies(project: Project) -> None:
    runs = pending(project, "one", "two [sim:hang]", "three")
    ended = execute(project, *runs, on_completed=lambda _: kill_all(project))
    assert [run.error_kind for run in ended] == [None, "lost", "lost"]
    assert [run.status for run in ended] == ["completed", "failed", "failed"]
    assert execute(project, ended[0]) == [ended[0]]


@pytest.mark.parametrize(
    ("error", "as_they_come"),
    [
        (Unreachable("gpu1", "It is away."), (1, 2, 0)),
        (OSError(errno.EIO, "Input/output error"), (1, 2, 0)),
        (DiskFull("No room is left here."), (0, 1, 2)),
    ],
    ids=["away", "broken disk", "full disk"],
)
def test_what_does_not_come_home_at_once_comes_when_its_order_ends(
    project: Project, error: Exception, as_they_come: tuple[int, ...]
) -> None:
    backend = not_home(project)
    backend.error, backend.times, backend.comes = error, 1, True
    order: list[str] = []
    ended = execute(
        project,
        *pending(project, "one", "two", "three"),
        backend=backend,
        on_completed=lambda run: order.append(run.id),
    )
    assert [run.status for run in ended] == ["completed"] * 3
    assert order == [ended[n].id for n in as_they_come]
    assert loads(project, ended[0]) == 1
    if isinstance(error, DiskFull):
        assert backend.before == [[]] * 4, "what came took no room"


def test_a_process_that_is_killed_while_a_first_run_comes_home_costs_nothing(
    project: Project,
) -> None:
    runs = pending(project, "one", "two [sim:slow 0.1]", "three")
    killed = subprocess.run(
        [sys.executable, "-m", "tests.support.orchestrator", str(project.settings.home)]
        + [run.id for run in runs],
        env={**os.environ, "DIE_AT": "completed"},
        cwd=ROOT,
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    left = [project.catalog.get_run(run.id).status for run in runs]
    assert left == ["downloading", "running", "running"]
    ended = execute(project, *runs)
    assert [(run.status, run.attempt) for run in ended] == [("completed", 1)] * 3
    assert loads(project, ended[0]) == 1
    assert project.backend.active() == []


def test_a_completed_run_names_the_load_to_stop(project: Project) -> None:
    runs = pending(project, "one", "two [sim:hang]", "three")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.orchestrator", str(project.settings.home)]
        + [run.id for run in runs],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: project.catalog.get_run(runs[0].id).status == "completed", "a video")
        with pytest.raises(StateError, match="nothing to stop") as refused:
            kill(project.catalog, project.settings, runs[0].id)
        assert "--batch" in (refused.value.hint or "")
        stopped = kill(project.catalog, project.settings, runs[0].id, whole_batch=True)
        assert {run.id for run in stopped} == {run.id for run in runs[1:]}
        assert {run.status for run in stopped} == {"cancelled"}
        assert process.wait(30) == 0
    finally:
        process.kill()
        if project.backend.active():
            kill_all(project)
    assert project.catalog.get_run(runs[0].id).status == "completed"


def test_a_run_is_not_deleted_while_others_of_its_load_are_in_work(project: Project) -> None:
    runs = pending(project, "one", "two")
    refused: list[StateError] = []

    def delete(done: Run) -> None:
        try:
            plan_deletion(project.catalog, "run", done.id, project.settings.outputs)
        except StateError as e:
            refused.append(e)

    execute(project, *runs, on_completed=delete)
    assert len(refused) == 1  # the last one's order is over
    assert "while other runs of its model load are active" in refused[0].message
    gone = plan_deletion(project.catalog, "run", runs[0].id, project.settings.outputs)
    gone.execute(project.catalog)
    assert project.catalog.find_run(runs[0].id) is None


def test_a_batch_on_the_cpu_brings_its_runs_home_one_by_one_too(tmp_path: Path) -> None:
    project = make_project(tmp_path / "home")
    project.scene(frames=4)
    runs = pending(project, "one", "two")
    seen: list[list[str]] = []
    execute(
        project,
        *runs,
        on_completed=lambda _: seen.append(
            [project.catalog.get_run(run.id).status for run in runs]
        ),
    )
    assert seen == [["completed", "running"], ["completed", "completed"]]
