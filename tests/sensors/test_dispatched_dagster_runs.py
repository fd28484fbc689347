"""What becomes of a queued run whose Dagster run does not execute it."""

from __future__ import annotations

import json
from dataclasses import replace

import dagster as dg
import pytest

from cosmos_pipelines.assets.jobs import BATCH, BY, QUEUE, batch_config
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import Load, Run
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.operate.why import explain
from cosmos_pipelines.sensors.requests import TRIES
from tests.support.dagster_project import QUIET, add_run
from tests.support.many_runs import copy_run
from tests.support.project import Project
from tests.support.queue_looks import Looks

ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]


def test_deleted_dagster_runs_cancel_their_runs_and_the_queue_goes_on(
    staged: Project, looks: Looks
) -> None:
    looks.room(4)
    first = add_run(staged, queued=True)
    copy_run(staged.catalog, first, 39)
    asked = looks.once()
    assert [len(load) for load in asked] == [8] * 4
    started = looks.started()
    assert looks.once() == []
    for dagster_run_id in started:
        looks.instance.delete_run(dagster_run_id)
    last = [run_id for load in looks.once() for run_id in load]
    ended = [staged.catalog.get_run(run_id) for batch in asked for run_id in batch]
    assert {(run.status, run.error_kind) for run in ended} == {("cancelled", "cancelled")}
    assert {run.id for run in staged.catalog.list_runs("pending", limit=None)} == set(last)
    said = explain(staged.catalog, staged.settings, ended[0].id)["cause"]
    assert f"{started[0][:8]} was deleted before it took the run" in said


def test_a_dagster_run_that_is_cancelled_in_its_queue_cancels_its_runs(
    staged: Project, looks: Looks
) -> None:
    run = add_run(staged, queued=True)
    looks.once()
    (dagster_run_id,) = looks.started(dg.DagsterRunStatus.CANCELED)
    assert looks.once() == []
    assert looks.once() == []
    run = staged.catalog.get_run(run.id)
    assert run.status == "cancelled"
    assert run.error_message is not None
    assert f"{dagster_run_id[:8]} was cancelled" in run.error_message
    assert f"cosmos run {run.id}" in run.error_message


@pytest.mark.parametrize("status", ENDED)
def test_a_dagster_run_that_ends_without_its_runs_is_requested_again_a_few_times(
    staged: Project, looks: Looks, status: dg.DagsterRunStatus
) -> None:
    run = add_run(staged, queued=True)
    keys = []
    for _ in range(TRIES + 1):
        looks.once()
        keys += looks.keys
        looks.started(status)
    assert len(set(keys)) == len(keys) == TRIES
    run = staged.catalog.get_run(run.id)
    assert (run.status, run.error_kind) == ("failed", "launch_failed")


def test_runs_whose_batch_fails_again_and_again_get_their_last_try_alone(
    staged: Project, looks: Looks
) -> None:
    looks.room(3)
    runs = [add_run(staged, text, queued=True) for text in ("one", "two", "three")]
    ids = [run.id for run in runs]
    for _ in range(TRIES - 1):
        assert looks.once() == [ids]
        looks.started(dg.DagsterRunStatus.FAILURE)
    assert looks.once() == [[run_id] for run_id in ids]


def test_a_dagster_run_that_is_never_created_is_requested_again(
    staged: Project, looks: Looks
) -> None:
    run = add_run(staged, queued=True)
    keys = []
    for _ in range(TRIES):
        assert looks.once() == [[run.id]]
        keys += looks.keys
        assert looks.once() == []  # it may come yet
        looks.later()
    assert len(set(keys)) == TRIES
    assert looks.once() == []
    assert staged.catalog.get_run(run.id).status == "failed"


def test_a_dagster_run_that_is_not_in_dagsters_queue_is_put_there_by_its_own_key(
    staged: Project, looks: Looks
) -> None:
    run = add_run(staged, queued=True)
    looks.once()
    keys = looks.keys
    looks.started(dg.DagsterRunStatus.NOT_STARTED)
    for _ in range(TRIES - 1):
        assert looks.once() == [[run.id]]
        assert looks.keys == keys
    assert looks.once() == []
    assert staged.catalog.get_run(run.id).status == "failed"


@pytest.mark.parametrize("cursor", [None, "no JSON", '["a list"]', '{"rs_1": {"other": 1}}'])
def test_a_cursor_that_was_changed_on_the_page_stops_nothing_and_orders_nothing_twice(
    staged: Project, looks: Looks, cursor: str | None
) -> None:
    looks.room(2)
    first = add_run(staged, "one", queued=True)
    assert looks.once() == [[first.id]]
    looks.started()
    second = add_run(staged, "two", queued=True)
    looks.cursor = cursor
    assert looks.once() == [[second.id]]
    assert looks.once() == []


def test_a_queue_that_an_earlier_version_left_full_of_deleted_dagster_runs_goes_on(
    staged: Project, looks: Looks
) -> None:
    run = add_run(staged, queued=True)
    looks.cursor = json.dumps({run.id: {"key": f"{run.id}.0123456789ab", "tries": 1}})
    assert looks.once() == [[run.id]]


def test_a_run_that_is_cancelled_while_its_batch_waits_is_not_executed(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    runs = [add_run(staged, text, queued=True) for text in ("works one", "works two")]
    load = taken(staged, runs)
    staged.catalog.cancel_pending(runs[0].id)
    assert executed(staged, instance, load).success
    found = [staged.catalog.get_run(run.id).status for run in runs]
    assert found == ["cancelled", "completed"]


def taken(project: Project, runs: list[Run]) -> Load:
    """The load in which a dispatcher takes these runs out of the queue."""
    ids = tuple(run.id for run in runs)
    load = project.catalog.claim_load(NewLoad("local", "stand_in", "transfer", ids), "a dispatcher")
    assert load is not None
    return load


def executed(
    project: Project, instance: dg.DagsterInstance, load: Load
) -> dg.ExecuteInProcessResult:
    """What the Dagster run of a load does."""
    job = build_definitions(project.settings).resolve_job_def(BATCH)
    config = QUIET | batch_config(load.run_ids, load.id)
    return job.execute_in_process(instance=instance, run_config=config, tags={BY: QUEUE})


def test_a_load_that_is_paused_before_it_starts_goes_back_into_the_queue(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged, "works", queued=True)
    load = taken(staged, [run])
    staged.catalog.pause("all", "ann@desk")
    assert executed(staged, instance, load).success
    back = staged.catalog.get_run(run.id)
    assert (back.status, back.load_id, back.attempt) == ("pending", None, 1)
    assert staged.catalog.find_loads([load.id])[load.id].state == "ended"
    staged.catalog.resume("all")
    assert [waiting.id for waiting in staged.catalog.ready_runs()] == [run.id]


def test_a_load_whose_runs_another_dispatcher_has_by_now_executes_none(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged, "works", queued=True)
    late = taken(staged, [run])
    staged.catalog.end_load(late.id, "The daemon was away.")
    other = taken(staged, [run])
    assert executed(staged, instance, late).success
    assert staged.catalog.get_run(run.id).status == "pending"
    assert executed(staged, instance, other).success
    assert staged.catalog.get_run(run.id).status == "completed"


def test_of_a_load_that_the_catalog_does_not_know_nothing_is_executed(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged, "works", queued=True)
    assert staged.catalog.cancel_pending(run.id)
    unknown = replace(taken(staged, [add_run(staged, "works too", queued=True)]), id="ld_gone")
    with pytest.raises(dg.Failure, match="has no load ld_gone"):
        executed(staged, instance, replace(unknown, run_ids=[run.id]))
    assert staged.catalog.get_run(run.id).status == "cancelled"


def test_a_run_that_a_user_starts_himself_has_left_its_load(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged, "works", queued=True)
    load = taken(staged, [run])
    assert staged.catalog.claim(run.id, "the user's process")
    assert executed(staged, instance, load).success
    assert staged.catalog.get_run(run.id).leased_by == "the user's process"


def test_a_load_that_fails_before_it_begins_is_tried_a_few_times(
    staged: Project, looks: Looks
) -> None:
    run = add_run(staged, queued=True)
    for _ in range(TRIES):
        assert looks.once() == [[run.id]]
        load_id = looks.keys[0]
        assert staged.catalog.hand_over_load(load_id, "its process")
        staged.catalog.end_load(load_id, "Its Dagster run failed: no room.")
    assert looks.once() == []
    failed = staged.catalog.get_run(run.id)
    assert (failed.status, failed.error_kind) == ("failed", "launch_failed")
    assert "no room" in str(failed.error_message)


def test_a_cancelled_run_that_a_user_asks_for_is_executed(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged, queued=True)
    staged.catalog.cancel_pending(run.id)
    job = build_definitions(staged.settings).resolve_job_def(BATCH)
    tags = {BY: "command line"}
    assert job.execute_in_process(
        instance=instance, run_config=QUIET | batch_config([run.id]), tags=tags
    ).success
    assert staged.catalog.get_run(run.id).status == "completed"
