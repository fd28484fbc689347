"""The loads to come as a person looks at them: by what earlier runs took."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.operate.queue import planned_loads, queue_now
from tests.runs.test_execute import execute, pending
from tests.support.project import Project, make_project
from tests.support.stand_in_engine import registered


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with a scene, in which the stand-in is an engine."""
    with registered():
        made = make_project(tmp_path / "home")
        made.scene()
        yield made
        made.catalog.close()


def queued(project: Project, text: str) -> str:
    """A run like those that were made, in the queue."""
    like = pending(project, text)
    row = {"prompt_id": like.prompt_id, "queued": True}
    run = project.catalog.add_run(
        like.model_type, like.engine, like.backend, like.execution_config, **row
    )
    return run.id


def test_of_a_first_run_no_time_is_said(project: Project) -> None:
    run_id = queued(project, "one")
    (load,) = planned_loads(project.catalog, project.settings)["loads"]
    assert load["run_ids"] == [run_id]
    assert (load["start_s"], load["end_s"], load["cost"]) == (None, None, None)
    (card,) = queue_now(project.catalog, project.settings, 10, 0)["waiting"]
    assert (card["start_s"], card["end_s"]) == (None, None)


def test_earlier_runs_tell_when_the_next_ones_end(project: Project) -> None:
    execute(project, pending(project, "one"), pending(project, "two"), pending(project, "three"))
    first, second = queued(project, "one"), queued(project, "two")
    plan = planned_loads(project.catalog, project.settings)
    (load,) = plan["loads"]
    assert load["run_ids"] == [first, second]
    assert (load["start_s"], load["start_p90_s"]) == (0, 0)
    assert 0 < load["end_s"] <= load["end_p90_s"]
    assert plan["ends_s"] == load["end_s"]
    one, two = queue_now(project.catalog, project.settings, 10, 0)["waiting"]
    assert one["shares"] == [second]
    assert one["end_s"] <= two["end_s"] == load["end_s"]
    (only,) = queue_now(project.catalog, project.settings, 1, 1)["waiting"]
    assert (only["id"], only["position"]) == (second, 2)
