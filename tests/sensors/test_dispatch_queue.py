"""What waits in the queue becomes Dagster runs."""

from __future__ import annotations

import dagster as dg

from cosmos_pipelines.sensors.dispatch_queue import WAITING, dispatch_queue
from tests.support.dagster_project import add_run, tick
from tests.support.project import Project
from tests.support.queue_looks import Looks


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
    tick(staged, dispatch_queue, instance, None)
    assert instance.get_dynamic_partitions("runs") == [run.id]


def test_only_a_few_batches_wait_in_dagsters_queue(staged: Project, looks: Looks) -> None:
    for seed in range(60):
        add_run(staged, queued=True, seed=seed)
    first = looks.once()
    assert len(first) <= WAITING
    assert looks.once() == [] or len(first) < WAITING


def test_a_run_whose_input_is_gone_is_alone_and_will_say_why(staged: Project, looks: Looks) -> None:
    staged.scene("square")
    from cosmos_pipelines.runs.enter import enter
    from cosmos_pipelines.runs.plan import plan_transfer
    from tests.support.dagster_project import add_prompt

    lone = add_prompt(staged, "lone", "square")
    planned = plan_transfer(staged.catalog, staged.settings, lone.id, {}, engine="stand_in")
    bad = enter(staged.catalog, staged.settings, planned, queued=True)
    good = add_run(staged, queued=True)
    (staged.settings.inputs / "square" / "color.mp4").unlink()
    assert sorted(looks.once()) == sorted([[bad.id], [good.id]])
