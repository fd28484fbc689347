"""What status says of places and of what was left behind, with real processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.operate.kill import kill_stray
from cosmos_pipelines.operate.status import status
from tests.runs.test_execute import elsewhere, pending
from tests.support.project import Project, make_project, settings_in
from tests.support.waiting import until


@pytest.fixture
def project(staged: Project) -> Project:
    return staged


def seen(project: Project) -> list[tuple[str, str, str]]:
    """What was left behind: what it is, its id, what to do."""
    left = status(project.catalog, project.settings)["left"]
    return [(one["what"], one["id"], one["do"]) for one in left]


def hanging(project: Project) -> Run:
    """A run whose model works for ever and whose process was killed."""
    run = pending(project, "hang")
    with elsewhere(project, run) as process:
        until(lambda: project.catalog.get_run(run.id).status == "running", "its start")
        until(lambda: project.backend.active() == [run.id], "its order")
        process.send_signal(signal.SIGKILL)
    return project.catalog.get_run(run.id)


def test_a_project_at_rest_has_nothing_left_behind(project: Project) -> None:
    state = status(project.catalog, project.settings)
    assert (state["left"], state["stray"], state["lost"]) == ([], [], [])
    assert [place["backend"] for place in state["places"]] == ["local"]
    assert state["places"][0]["problem"] is None


def test_a_run_whose_process_died_is_lost_and_can_be_gone_on_with(project: Project) -> None:
    run = hanging(project)
    assert seen(project) == [("lost", run.id, f"cosmos run {run.id}")]


def test_a_run_without_process_and_program_has_vanished(project: Project) -> None:
    run = hanging(project)
    handle = project.backend.find(run.id)
    assert handle is not None
    os.killpg(int(handle.marks["pid"]), signal.SIGKILL)
    until(lambda: project.backend.active() == [], "the end of its order")
    assert seen(project) == [("vanished", run.id, f"cosmos run {run.id}")]
    found = status(project.catalog, project.settings)["left"][0]["found"]
    assert "its order does not run on" in found


def test_a_program_that_no_run_owns_is_a_stray_order_and_can_be_stopped(project: Project) -> None:
    run = hanging(project)
    other = make_project(project.settings.home.parent / "other").catalog
    left = status(other, project.settings)["left"]
    assert [(one["what"], one["id"], one["do"]) for one in left] == [
        ("stray", run.id, "cosmos kill --stray")
    ]
    assert status(other, project.settings)["stray"] == [run.id]
    assert kill_stray(other, project.settings) == [run.id]
    assert project.backend.active() == []


def test_stopping_stray_orders_leaves_runs_in_work_alone(project: Project) -> None:
    run = pending(project, "hang")
    with elsewhere(project, run) as process:
        until(lambda: project.backend.active() == [run.id], "its order")
        assert kill_stray(project.catalog, project.settings) == []
        assert project.backend.active() == [run.id]
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert project.catalog.get_run(run.id).status == "cancelled"


def test_a_host_that_is_not_there_is_told_and_hides_nothing(tmp_path: Path) -> None:
    settings = settings_in(
        tmp_path / "home",
        '[remote]\nhost = "127.0.0.1"\nport = 1\nssh_config = "/dev/null"\n',
    )
    project = make_project(tmp_path / "other")
    state = status(project.catalog, settings)
    local, remote = state["places"]
    assert (local["backend"], local["problem"]) == ("local", None)
    assert (remote["backend"], remote["host"]) == ("ssh_docker", "127.0.0.1")
    assert "nothing listens on its port 1" in remote["problem"]
    assert state["left"] == []


def test_a_host_that_is_not_set_is_told(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home", '[execution]\nbackend = "ssh_docker"\n')
    project = make_project(tmp_path / "other")
    (place,) = status(project.catalog, settings)["places"]
    assert "No GPU host is set." in place["problem"]
