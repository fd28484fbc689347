"""The queue with Dagster's real daemon, while a user deletes and cancels what waits on the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cosmos_pipelines.assets.jobs import BATCH
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.resources.instance import open_instance
from tests.support.dagster_project import add_prompt
from tests.support.idle_daemon import project_with_idle_daemon
from tests.support.many_runs import copy_run
from tests.support.processes import gone_owner
from tests.support.project import Project
from tests.support.waiting import until


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose daemon requests Dagster runs, of which none starts."""
    with project_with_idle_daemon(tmp_path / "home") as made:
        yield made


def queue(project: Project, count: int) -> list[Run]:
    """New runs that wait; each is a load of its own, as its place is."""
    prompt = add_prompt(project, "a street", "city")
    first = project.catalog.add_run("transfer", "preview", "local", {}, prompt_id=prompt.id)
    known = {run.id for run in project.catalog.list_runs(limit=None)}
    for number in range(count):
        where = {"backend": f"local{number}", "queued_at": first.created_at}
        copy_run(project.catalog, first, 1, **where)
    runs = [run for run in project.catalog.list_runs("pending", limit=None) if run.id not in known]
    return sorted(runs, key=lambda run: run.backend)


def waiting(instance: dg.DagsterInstance, run: Run) -> dg.DagsterRun | None:
    """The Dagster run that waits for this run in Dagster's queue."""
    tags = {"cosmos/first_run": run.id}
    found = dg.RunsFilter(job_name=BATCH, tags=tags, statuses=[dg.DagsterRunStatus.QUEUED])
    return next(iter(instance.get_runs(found, limit=1)), None)


def seen(project: Project, instance: dg.DagsterInstance) -> set[str]:
    """The runs whose Dagster runs the sensor has seen; to it, others may never have been there."""
    for state in instance.all_instigator_state():
        if state.instigator_name == "dispatch_queue" and state.instigator_data:
            asked = json.loads(getattr(state.instigator_data, "cursor", None) or "{}")
            loads = project.catalog.find_loads(n for n, entry in asked.items() if entry["seen"])
            return {run_id for load in loads.values() for run_id in load.run_ids}
    return set()


def test_the_queue_and_adoptions_go_on_when_their_dagster_runs_are_deleted_and_cancelled(
    project: Project,
) -> None:
    runs = queue(project, 4)
    lost = project.catalog.add_run("transfer", "preview", "local", {}, prompt_id=runs[0].prompt_id)
    assert project.catalog.claim(lost.id, gone_owner())
    with open_instance(project.settings, captures=False) as instance:
        first = [until(lambda r=run: waiting(instance, r), f"{run.id}") for run in runs]  # type: ignore[misc]
        adoption = until(lambda: waiting(instance, lost), "adoption")
        until(lambda: {run.id for run in runs} <= seen(project, instance), "a look at them")
        instance.delete_run(first[0].run_id)
        instance.run_coordinator.cancel_run(first[1].run_id)
        instance.run_coordinator.cancel_run(adoption.run_id)
        for run in queue(project, 2):
            until(lambda r=run: waiting(instance, r), "later runs")  # type: ignore[misc]
        again = until(lambda: waiting(instance, lost), "adoption again")
        assert again.run_id != adoption.run_id
    found = [project.catalog.get_run(run.id) for run in runs]
    assert [run.status for run in found] == ["cancelled"] * 2 + ["pending"] * 2
    assert "was deleted" in str(found[0].error_message)
    assert "was cancelled" in str(found[1].error_message)
