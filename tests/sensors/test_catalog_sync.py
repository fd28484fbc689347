"""What the command line writes appears on the page, each thing once."""

from __future__ import annotations

import dagster as dg
import pytest
from sqlalchemy import update

from cosmos_pipelines.assets.jobs import BATCH
from cosmos_pipelines.assets.partitions import PROMPTS, SCENES, VIDEOS
from cosmos_pipelines.assets.recheck import CHECK
from cosmos_pipelines.assets.video_checks import CHECKS, Finding, examine
from cosmos_pipelines.catalog import tables
from cosmos_pipelines.catalog.deletion import plan_deletion
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.materialize import materialize_runs
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.inputs import register_scene
from cosmos_pipelines.sensors.catalog_sync import catalog_sync
from cosmos_pipelines.settings import Settings
from tests.support.dagster_project import (
    add_prompt,
    add_run,
    failure_of,
    metadata_of,
    run_job,
    synced,
    tick,
)
from tests.support.project import Project


def count(instance: dg.DagsterInstance, asset: dg.AssetKey) -> int:
    return len(instance.fetch_materializations(asset, limit=100).records)


def test_scenes_prompts_and_runs_become_partitions(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged)
    synced(staged, instance)
    assert instance.get_dynamic_partitions("scenes") == ["city"]
    assert instance.get_dynamic_partitions("prompts") == [run.prompt_id]
    assert instance.get_dynamic_partitions("runs") == [run.id]
    assert metadata_of(instance, SCENES, "city")["frames"] == 6
    assert metadata_of(instance, PROMPTS, str(run.prompt_id))["text"] == "works"
    assert metadata_of(instance, VIDEOS, run.id) == {}


def test_a_run_that_was_executed_elsewhere_is_recorded_once(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged)
    execute_runs([run.id], catalog=staged.catalog, settings=staged.settings, backend=staged.backend)
    synced(staged, instance)
    synced(staged, instance)
    assert metadata_of(instance, VIDEOS, run.id)["frames"] == 6
    assert [count(instance, a) for a in (SCENES, PROMPTS, VIDEOS)] == [1, 1, 1]


def test_what_dagster_recorded_itself_is_not_recorded_again(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    materialize_runs(staged.catalog, staged.settings, [add_run(staged).id])
    synced(staged, instance)
    assert [count(instance, a) for a in (SCENES, PROMPTS, VIDEOS)] == [1, 1, 1]


def test_a_run_whose_dagster_run_is_still_at_work_is_left_to_it(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def some() -> None:
        nothing()

    at_work = instance.create_run_for_job(some, status=dg.DagsterRunStatus.STARTED)
    run = add_run(staged)
    execute_runs(
        [run.id],
        catalog=staged.catalog,
        settings=staged.settings,
        backend=staged.backend,
        dagster_run_id=at_work.run_id,
    )
    cursor = synced(staged, instance)
    assert count(instance, VIDEOS) == 0
    instance.report_run_failed(at_work)  # it died before it could record the run
    synced(staged, instance, cursor)
    assert count(instance, VIDEOS) == 1


def test_a_scene_that_was_rendered_again_is_recorded_again(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    add_prompt(staged)
    cursor = synced(staged, instance)
    staged.scene("city", frames=8)
    add_prompt(staged)
    synced(staged, instance, cursor)
    assert count(instance, SCENES) == 2
    assert metadata_of(instance, SCENES, "city")["frames"] == 8


def test_deleted_things_lose_their_partitions(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged)
    cursor = synced(staged, instance)
    plan_deletion(staged.catalog, "prompt", str(run.prompt_id), staged.settings.outputs).execute(
        staged.catalog
    )
    synced(staged, instance, cursor)
    assert instance.get_dynamic_partitions("prompts") == []
    assert instance.get_dynamic_partitions("runs") == []
    assert instance.get_dynamic_partitions("prompts_to_enhance") == []
    assert instance.get_dynamic_partitions("scenes") == ["city"]


def test_the_sensor_records_what_is_new_and_then_rests(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged)
    result, cursor = tick(staged, catalog_sync, instance, None)
    assert isinstance(result, dg.SkipReason)
    assert (result.skip_message or "").startswith("Recorded ")
    assert instance.get_dynamic_partitions("runs") == [run.id]
    result, again = tick(staged, catalog_sync, instance, cursor)
    assert isinstance(result, dg.SkipReason)
    assert result.skip_message == "Nothing new in the catalog."
    assert again == cursor


def test_a_scene_that_a_dagster_run_is_registering_is_left_to_it(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    register_scene(staged.catalog, staged.settings, staged.settings.inputs / "city")
    job = build_definitions(staged.settings).resolve_implicit_global_asset_job_def()
    at_work = instance.create_run_for_job(
        job, tags={"dagster/partition": "city"}, status=dg.DagsterRunStatus.STARTED
    )
    cursor = synced(staged, instance)
    assert count(instance, SCENES) == 0
    assert instance.get_dynamic_partitions("scenes") == ["city"]
    instance.report_run_failed(at_work)  # it recorded nothing
    cursor = synced(staged, instance, cursor)
    assert count(instance, SCENES) == 1
    assert synced(staged, instance, cursor) == cursor


def checks_of(instance: dg.DagsterInstance, run: Run) -> dict[str, bool]:
    """The newest verdict of each check of a run's video."""
    found: dict[str, bool] = {}
    for name in CHECKS:
        key = dg.AssetCheckKey(VIDEOS, name)
        records = instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
        events = [record.event.dagster_event for record in records if record.event]
        verdicts = [e.asset_check_evaluation_data for e in events if e]
        found |= {v.check_name: v.passed for v in reversed(verdicts) if v.partition == run.id}
    return found


def test_a_video_whose_batch_was_cancelled_after_it_was_made_gets_its_checks(
    staged: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [add_run(staged, text) for text in ("one", "two")]

    def interrupted(*_: object) -> None:
        raise dg.DagsterExecutionInterruptedError

    with monkeypatch.context() as stopped:
        stopped.setattr("cosmos_pipelines.assets.jobs.examine", interrupted)
        result = run_job(staged, instance, BATCH, "execute_batch", run_ids=[r.id for r in runs])
        assert not result.success
    made = [r for r in staged.catalog.find_runs(r.id for r in runs).values() if r.outputs]
    assert made
    assert [checks_of(instance, run) for run in made] == [{}] * len(made)
    cursor = synced(staged, instance)
    for run in made:
        assert checks_of(instance, run) == dict.fromkeys(CHECKS, True)
    result, _ = tick(staged, catalog_sync, instance, cursor)
    assert isinstance(result, dg.SkipReason)


def test_a_video_that_was_made_elsewhere_gets_its_checks_once(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged)
    execute_runs([run.id], catalog=staged.catalog, settings=staged.settings, backend=staged.backend)
    cursor = synced(staged, instance)
    assert checks_of(instance, run) == dict.fromkeys(CHECKS, True)
    staged.catalog.rate(run.id, 4)
    result, _ = tick(staged, catalog_sync, instance, cursor)
    assert isinstance(result, dg.SkipReason)


def test_a_video_that_cannot_be_checked_does_not_stop_the_others(
    staged: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = add_run(staged, "one"), add_run(staged, "two")
    materialize_runs(staged.catalog, staged.settings, [bad.id, good.id])

    def refusing(catalog: Catalog, settings: Settings, run: Run) -> list[Finding]:
        if run.id == bad.id:
            raise RuntimeError("nobody expected this")
        return examine(catalog, settings, run)

    monkeypatch.setattr("cosmos_pipelines.assets.recheck.examine", refusing)
    result = run_job(staged, instance, CHECK, "examine_videos", runs=[bad.id, good.id])
    failure = failure_of(result)
    assert failure and f"{bad.id}: nobody expected this" in str(failure.description)
    records = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    events = [r.dagster_event for r in records if r.dagster_event]
    assert {e.asset_check_evaluation_data.partition for e in events} == {good.id}


def test_a_row_that_cannot_be_shown_does_not_stop_the_others(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    bad, good = add_run(staged, "one"), add_run(staged, "two")
    for run in (bad, good):
        execute_runs(
            [run.id], catalog=staged.catalog, settings=staged.settings, backend=staged.backend
        )
    outputs = dict(staged.catalog.get_run(bad.id).outputs) | {"fps": "24/0"}
    with staged.catalog.write() as tx:
        changed = (
            update(tables.runs)
            .where(tables.runs.c.id == bad.id)
            .values(outputs=outputs, **tx.stamp())
        )
        tx.connection.execute(changed)
    synced(staged, instance)
    assert metadata_of(instance, VIDEOS, good.id)["frames"] == 6
    assert metadata_of(instance, VIDEOS, bad.id) == {}
    assert bad.id in instance.get_dynamic_partitions("runs")
