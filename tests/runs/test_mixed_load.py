"""Runs with different controls in one load of Cosmos-Transfer1 (simulated), from queue to video."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.media import provenance
from cosmos_pipelines.operate.sheet import cost_of
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.next_loads import next_loads
from cosmos_pipelines.runs.plan import plan_transfer
from tests.models.trees import path_with_torchrun
from tests.support.cosmos_models import all_passes
from tests.support.dagster_project import add_prompt
from tests.support.project import Project
from tests.support.rooms import free_room


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project of Cosmos-Transfer1 with a scene in all passes."""
    monkeypatch.setenv("PATH", path_with_torchrun())
    made = all_passes(tmp_path)
    yield made
    made.catalog.close()


def queued(project: Project, **weights: float) -> Run:
    """A waiting run with these control weights."""
    prompt = add_prompt(project, f"A street, {weights}")
    parts = (project.catalog, project.settings)
    return enter(*parts, plan_transfer(*parts, prompt.id, {"weights": weights}), queued=True)


def planned(project: Project, mode: str) -> list[NewLoad]:
    """The next loads of the queue, in a mode."""
    queue = project.settings.queue.model_copy(update={"mode": mode})
    settings = project.settings.model_copy(update={"queue": queue})
    return next_loads(project.catalog, settings, free_room(), lambda *_: None)


def test_runs_of_a_mixed_load_share_an_order_and_keep_what_they_executed_for_others(
    project: Project,
) -> None:
    depth, seg, both = (
        queued(project, depth=1),
        queued(project, seg=1),
        queued(project, depth=0.5, seg=0.5),
    )
    assert [len(load.run_ids) for load in planned(project, "strict")] == [1]
    [wanted] = planned(project, "mixed")
    assert wanted.run_ids == (depth.id, seg.id, both.id)
    load = project.catalog.claim_load(wanted, owner_name())
    assert load is not None
    runs = execute_runs(
        load.run_ids,
        catalog=project.catalog,
        settings=project.settings,
        backend=project.backend,
        load=load,
    )
    assert [run.status for run in runs] == ["completed"] * 3
    assert len({run.batch_id for run in runs}) == 1
    mixed = [run.outputs["mixed"] for run in runs]
    assert [one["added_controls"] for one in mixed] == [["seg"], ["depth"], []]
    assert ["note" in one for one in mixed] == [True, True, False]
    for run, told in zip(runs, mixed, strict=True):
        story = provenance.read(project.settings.home / run.outputs["video"])
        assert story is not None
        assert story["mixed"] == told
    assert {"name": "mixed load", "value": mixed[0]["note"]} in cost_of(
        project.catalog, project.settings, runs[0]
    )
    assert "mixed" not in json.dumps(runs[2].execution_config)
