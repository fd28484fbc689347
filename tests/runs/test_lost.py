"""Which runs in work have lost their process."""

from __future__ import annotations

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.runs.lost import is_lost, lost_runs
from tests.runs.test_execute import pending, project
from tests.support.project import Project

__all__ = ["project"]

GONE = f"{owner_name().split(':', maxsplit=1)[0]}:999999:1.0"


def test_a_run_whose_process_is_gone_is_lost(project: Project) -> None:
    run = project.catalog.claim(pending(project).id, GONE)
    assert run is not None
    assert is_lost(project.catalog, run)
    assert lost_runs(project.catalog) == [run]


def test_a_run_of_a_living_process_and_one_that_waits_are_not_lost(project: Project) -> None:
    waiting = pending(project)
    run = project.catalog.claim(pending(project).id, owner_name())
    assert run is not None
    assert not is_lost(project.catalog, run)
    assert not is_lost(project.catalog, waiting)
    assert lost_runs(project.catalog) == []


def test_a_run_that_its_process_has_ended_since_it_was_read_is_not_lost(project: Project) -> None:
    read = project.catalog.claim(pending(project).id, GONE)
    assert read is not None
    project.catalog.advance(read.id, GONE, "uploading", "failed", error_kind="model_failed")
    assert not is_lost(project.catalog, read)
    assert project.catalog.find_run(read.id) is not None
