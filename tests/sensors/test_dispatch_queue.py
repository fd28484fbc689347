"""What waits in the queue becomes Dagster runs."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from cosmos_pipelines.sensors.dispatch_queue import TRIES, WAITING, dispatch_queue
from tests.support.dagster_project import add_run, tick
from tests.support.project import Project


class Looks:
    """Looks of the sensor, one after the other."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance
        self.cursor: str | None = None
        self.keys: list[str] = []

    def once(self) -> list[list[str]]:
        """The batches that this look requests, as run ids."""
        result: Any
        result, self.cursor = tick(self.project, dispatch_queue, self.instance, self.cursor)
        if isinstance(result, dg.SkipReason):
            return []
        self.keys = [request.run_key for request in result.run_requests]
        return [
            r.run_config["ops"]["execute_batch"]["config"]["run_ids"] for r in result.run_requests
        ]

    def dagster_run(self, key: str, status: dg.DagsterRunStatus) -> None:
        """What the daemon makes of a request, and how it ended."""
        self.instance.create_run_for_job(_job(), tags={"dagster/run_key": key}, status=status)


def _job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def some() -> None:
        nothing()

    return some


@pytest.fixture
def looks(staged: Project, instance: dg.DagsterInstance) -> Looks:
    return Looks(staged, instance)


def test_runs_that_fit_together_are_one_request_in_their_order(
    staged: Project, looks: Looks
) -> None:
    runs = [add_run(staged, text, queued=True) for text in ("one", "two", "three")]
    assert looks.once() == [[run.id for run in runs]]


def test_runs_that_are_not_queued_are_left_alone(staged: Project, looks: Looks) -> None:
    add_run(staged)
    assert looks.once() == []


def test_what_was_requested_is_not_requested_again(staged: Project, looks: Looks) -> None:
    add_run(staged, "one", queued=True)
    looks.once()
    later = add_run(staged, "two", queued=True)
    assert looks.once() == [[later.id]]
    assert looks.once() == []


def test_the_page_has_the_partitions_of_what_is_requested(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged, queued=True)
    result, _ = tick(staged, dispatch_queue, instance, None)
    (request,) = result.dynamic_partitions_requests
    assert request.partition_keys == [run.id]


def test_only_a_few_batches_wait_in_dagsters_queue(staged: Project, looks: Looks) -> None:
    for seed in range(60):
        add_run(staged, queued=True, seed=seed)
    first = looks.once()
    assert len(first) <= WAITING
    assert looks.once() == [] or len(first) < WAITING


def test_a_run_whose_input_is_gone_is_alone_and_will_say_why(staged: Project, looks: Looks) -> None:
    staged.scene("square")
    from cosmos_pipelines.runs.plan import enter, plan_transfer
    from tests.support.dagster_project import add_prompt

    lone = add_prompt(staged, "lone", "square")
    planned = plan_transfer(staged.catalog, staged.settings, lone.id, {}, engine="stand_in")
    bad = enter(staged.catalog, staged.settings, planned, queued=True)
    good = add_run(staged, queued=True)
    (staged.settings.inputs / "square" / "color.mp4").unlink()
    assert sorted(looks.once()) == sorted([[bad.id], [good.id]])


def test_a_dagster_run_that_is_cancelled_in_its_queue_cancels_its_runs(
    staged: Project, looks: Looks
) -> None:
    run = add_run(staged, queued=True)
    looks.once()
    looks.dagster_run(looks.keys[0], dg.DagsterRunStatus.CANCELED)
    assert looks.once() == []
    assert staged.catalog.get_run(run.id).status == "cancelled"


def test_a_dagster_run_that_dies_before_its_work_is_requested_again_a_few_times(
    staged: Project, looks: Looks
) -> None:
    run = add_run(staged, queued=True)
    asked = 0
    for _ in range(TRIES + 1):
        asked += len(looks.once())
        looks.dagster_run(looks.keys[0], dg.DagsterRunStatus.FAILURE)
    assert asked == TRIES
    run = staged.catalog.get_run(run.id)
    assert (run.status, run.error_kind) == ("failed", "launch_failed")
