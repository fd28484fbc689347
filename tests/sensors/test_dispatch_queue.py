"""What waits in the queue becomes Dagster runs."""

from __future__ import annotations

import dagster as dg
import pytest

from cosmos_pipelines.engines.base import Cost
from cosmos_pipelines.operations import Job
from cosmos_pipelines.sensors.dispatch_queue import dispatch_queue
from tests.support.dagster_project import add_run, tick
from tests.support.many_runs import copy_run
from tests.support.project import Project
from tests.support.queue_looks import OWNER, Looks
from tests.support.stand_in_engine import StandIn


def test_runs_that_fit_together_are_one_request_in_their_order(
    staged: Project, looks: Looks
) -> None:
    runs = [add_run(staged, text, queued=True) for text in ("one", "two", "three")]
    assert looks.once() == [[run.id for run in runs]]


def test_runs_that_are_not_queued_are_left_alone(staged: Project, looks: Looks) -> None:
    add_run(staged)
    assert looks.once() == []


def test_what_was_requested_is_not_requested_again(staged: Project, looks: Looks) -> None:
    looks.room(2)
    add_run(staged, "one", queued=True)
    looks.once()
    later = add_run(staged, "two", queued=True)
    assert looks.once() == [[later.id]]
    assert looks.once() == []


def test_one_load_runs_and_one_is_prepared_for_each_gpu(staged: Project, looks: Looks) -> None:
    for seed in range(60):
        add_run(staged, queued=True, seed=seed)
    assert len(looks.once()) == 1
    (first,) = looks.keys
    looks.started()
    assert looks.once() == []  # it has not begun
    looks.begun(first)
    assert len(looks.once()) == 1  # nobody knows how long the first one takes
    (second,) = looks.keys
    looks.started()
    looks.begun(second)
    assert looks.once() == []


def test_nothing_is_prepared_long_before_the_gpu_is_free(staged: Project, looks: Looks) -> None:
    done = add_run(staged, "works")
    timing = {"timing": {"seconds": 1000, "load_s": 100, "chunks": 1, "steps": 1, "gpus": 1}}
    copy_run(staged.catalog, done, 1, status="completed", outputs={"video": "v", **timing})
    first = add_run(staged, "works", queued=True)
    assert looks.once() == [[first.id]]
    looks.started()
    looks.begun(looks.keys[0])
    second = add_run(staged, "works", queued=True, seed=3)
    assert staged.catalog.advance(first.id, OWNER, "uploading", "running", progress={})
    assert looks.once() == []
    progress = {"done": 95, "total": 100}
    assert staged.catalog.advance(first.id, OWNER, "running", "running", progress=progress)
    assert looks.once() == [[second.id]]


def test_of_a_paused_queue_nothing_is_requested(staged: Project, looks: Looks) -> None:
    run = add_run(staged, queued=True)
    staged.catalog.pause("all", "ann@desk", "maintenance")
    assert looks.once() == []
    staged.catalog.resume("all")
    assert looks.once() == [[run.id]]


def test_a_4k_whose_video_failed_does_not_wait_for_ever(staged: Project, looks: Looks) -> None:
    video = add_run(staged, queued=True)
    larger = staged.catalog.add_run(
        "upscale", "stand_in", "local", {}, parent_run_id=video.id, queued=True
    )
    assert looks.once() == [[video.id]]
    assert staged.catalog.cancel_pending(video.id)
    looks.once()
    ended = staged.catalog.get_run(larger.id)
    assert (ended.status, ended.error_kind) == ("failed", "parent_failed")


def test_the_page_has_the_partitions_of_what_is_requested(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged, queued=True)
    tick(staged, dispatch_queue, instance, None)
    assert instance.get_dynamic_partitions("runs") == [run.id]


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
    looks.room(2)
    assert sorted(looks.once()) == sorted([[bad.id], [good.id]])


def test_runs_of_one_gpu_do_not_keep_one_of_two_from_starting(
    staged: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "cost", lambda _, job: _cost(job))
    looks.room(2)
    first = add_run(staged, "works", queued=True)
    assert looks.once() == [[first.id]]
    looks.started()
    looks.begun(looks.keys[0])
    wide = add_run(staged, "two gpus", queued=True)
    narrow = add_run(staged, "later", queued=True)
    assert looks.once() == [[wide.id]]  # it waits for both, and nothing takes one of them
    looks.started()
    assert looks.once() == []
    assert staged.catalog.get_run(narrow.id).status == "pending"


def _cost(job: Job) -> Cost:
    return Cost(chunks=1, steps=1, gpus=2 if "two" in job.text else 1)
