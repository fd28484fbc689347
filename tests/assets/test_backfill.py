"""Partitions of a backfill go through the queue, which makes the loads."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import import_module

import dagster as dg
import pytest

from cosmos_pipelines.assets.handover import BACKFILL, PARTITION
from cosmos_pipelines.assets.partitions import (
    ENHANCED,
    PARTITIONS,
    UPSCALED,
    VIDEOS,
    add_keys,
    latest,
)
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.materialize import materialize_runs
from tests.support.dagster_project import QUIET, add_prompt, add_run, failure_of
from tests.support.project import Project
from tests.support.waiting import until

COUNT = 3


@pytest.fixture(autouse=True)
def _defaults(staged: Project) -> None:
    """The stand-in is the engine of everything."""
    file = staged.settings.home / "cosmos.toml"
    file.write_text('[execution]\nengine = "stand_in"\ngrace_s = 2\n')


class Backfill:
    """A backfill as Dagster's daemon makes it: a Dagster run a partition, of which one starts."""

    def __init__(
        self, project: Project, instance: dg.DagsterInstance, asset: dg.AssetKey, keys: list[str]
    ) -> None:
        self.project, self.instance, self.asset, self.keys = project, instance, asset, keys
        self.ids = {key: str(uuid.uuid4()) for key in keys}
        name, now = uuid.uuid4().hex[:8], datetime.now(UTC).timestamp()
        self.tags = {BACKFILL: name}
        of_dagster = import_module("dagster._core.execution.backfill")
        status = of_dagster.BulkActionStatus.REQUESTED
        instance.add_backfill(of_dagster.PartitionBackfill(name, status, False, {}, now))
        add_keys(instance, str(PARTITIONS[asset].name), keys)
        for key in keys[1:]:
            self.wait_in_dagsters_queue(key)

    def wait_in_dagsters_queue(self, key: str) -> None:
        made = dg.DagsterRun(
            job_name="__ASSET_JOB",
            run_id=self.ids[key],
            run_config=QUIET,
            tags={**self.tags, PARTITION: key},
            asset_selection=frozenset([self.asset]),
            status=dg.DagsterRunStatus.NOT_STARTED,
        )
        self.instance.run_storage.add_run(made)  # type: ignore[attr-defined]

    def execute(self, key: str) -> dg.ExecuteInProcessResult:
        """What Dagster does when it starts the Dagster run of this partition."""
        if self.instance.has_run(self.ids[key]):
            self.instance.delete_run(self.ids[key])
        job = build_definitions(self.project.settings).resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            partition_key=key,
            asset_selection=[self.asset],
            run_config=QUIET,
            run_id=self.ids[key],
            tags=self.tags,
            raise_on_error=False,
        )

    def queued(self) -> Sequence[Run]:
        """What waits in the queue once the first step has started."""
        return until(self.project.catalog.queued_runs, "the queue")


def _dispatched(project: Project, runs: Sequence[Run]) -> None:
    """What a dispatcher does with them."""
    ended = materialize_runs(project.catalog, project.settings, [run.id for run in runs])
    assert len({run.batch_id for run in ended}) == 1


def test_the_first_step_of_a_backfill_queues_all_and_each_step_records_its_own(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    prompts = [add_prompt(staged, f"look {n}") for n in range(COUNT)]
    backfill = Backfill(staged, instance, ENHANCED, [prompt.id for prompt in prompts])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(backfill.execute, backfill.keys[0])
        waiting = backfill.queued()
        assert {run.prompt_id for run in waiting} == set(backfill.keys)
        assert len(waiting) == COUNT
        _dispatched(staged, waiting)
        assert first.result().success
    for key in backfill.keys[1:]:
        assert backfill.execute(key).success
    ended = staged.catalog.list_runs(model_type="enhance", limit=None)
    assert len(ended) == COUNT
    assert {(run.status, run.attempt) for run in ended} == {("completed", 1)}
    for key in backfill.keys:
        event = latest(instance, ENHANCED, key)
        assert event is not None
        assert event.run_id == backfill.ids[key]


def test_4k_videos_and_videos_of_a_backfill_go_through_the_queue_too(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    runs = [add_run(staged, "works", seed=n) for n in range(2)]
    for asset in (VIDEOS, UPSCALED):
        backfill = Backfill(staged, instance, asset, [run.id for run in runs])
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(backfill.execute, runs[0].id)
            _dispatched(staged, backfill.queued())
            assert first.result().success
        assert all(backfill.execute(run.id).success for run in runs[1:])
    assert len(staged.catalog.list_runs("completed", limit=None)) == 4


def test_a_step_whose_run_has_failed_in_its_load_fails_and_starts_nothing_again(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    good, bad = add_run(staged, "works"), add_run(staged, "blocked: lifeless")
    backfill = Backfill(staged, instance, VIDEOS, [good.id, bad.id])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(backfill.execute, good.id)
        _dispatched(staged, backfill.queued())
        assert first.result().success
    failed = failure_of(backfill.execute(bad.id))
    assert failed is not None
    assert "failed" in str(failed.description)
    assert staged.catalog.get_run(bad.id).attempt == 1
    later = Backfill(staged, instance, VIDEOS, [bad.id])  # somebody asks for it once more
    assert not later.execute(bad.id).success
    assert staged.catalog.get_run(bad.id).attempt == 2


def test_a_partition_that_cannot_be_made_leaves_the_others_of_its_backfill_alone(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    runs = materialize_runs(
        staged.catalog, staged.settings, [add_run(staged, "works", seed=n).id for n in range(3)]
    )
    (staged.settings.home / runs[1].outputs["video"]).unlink()
    backfill = Backfill(staged, instance, UPSCALED, [run.id for run in runs])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(backfill.execute, runs[0].id)
        waiting = backfill.queued()
        assert {run.parent_run_id for run in waiting} == {runs[0].id, runs[2].id}
        _dispatched(staged, waiting)
        assert first.result().success
    assert not backfill.execute(runs[1].id).success
    assert backfill.execute(runs[2].id).success


def test_a_dagster_run_that_is_cancelled_in_its_queue_takes_its_run_out_of_ours(
    staged: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmos_pipelines.assets.handover.CANCELLED_S", 0.0)
    prompts = [add_prompt(staged, f"look {n}") for n in range(3)]
    backfill = Backfill(staged, instance, ENHANCED, [prompt.id for prompt in prompts])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(backfill.execute, prompts[0].id)
        assert len(backfill.queued()) == 3
        unwanted = instance.get_run_by_id(backfill.ids[prompts[2].id])
        assert unwanted is not None
        instance.report_run_canceled(unwanted)
        until(lambda: len(staged.catalog.queued_runs()) == 2, "its end")
        _dispatched(staged, staged.catalog.queued_runs())
        assert first.result().success
    (cancelled,) = staged.catalog.list_runs("cancelled")
    assert cancelled.prompt_id == prompts[2].id


def test_a_step_that_is_asked_for_alone_is_executed_at_once_without_the_queue(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    prompt = add_prompt(staged)
    record(instance, staged.catalog, staged.settings, prompt)
    job = build_definitions(staged.settings).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance, partition_key=prompt.id, asset_selection=[ENHANCED], run_config=QUIET
    )
    assert result.success
    (run,) = staged.catalog.list_runs()
    assert (run.status, run.queued_at) == ("completed", None)
