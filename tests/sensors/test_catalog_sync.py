"""What the command line writes appears on the page, each thing once."""

from __future__ import annotations

import dagster as dg

from cosmos_pipelines.assets.partitions import PROMPTS, SCENES, VIDEOS
from cosmos_pipelines.catalog.deletion import plan_deletion
from cosmos_pipelines.materialize import materialize_runs
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.sensors.catalog_sync import catalog_sync
from tests.support.dagster_project import add_prompt, add_run, metadata_of, tick
from tests.support.project import Project


def synced(project: Project, instance: dg.DagsterInstance, cursor: str | None = None) -> str:
    """One tick of the sensor, and what Dagster's daemon then does; returns the next cursor."""
    result, after = tick(project, catalog_sync, instance, cursor)
    if isinstance(result, dg.SensorResult):
        for request in result.dynamic_partitions_requests or []:
            for key in request.partition_keys:
                if isinstance(request, dg.AddDynamicPartitionsRequest):
                    instance.add_dynamic_partitions(request.partitions_def_name, [key])
                else:
                    instance.delete_dynamic_partition(request.partitions_def_name, key)
        for event in result.asset_events:
            instance.report_runless_asset_event(event)
    assert after is not None
    return after


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
    assert instance.get_dynamic_partitions("scenes") == ["city"]


def test_the_sensor_asks_for_the_same_and_then_rests(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged)
    result, cursor = tick(staged, catalog_sync, instance, None)
    asked = {k for r in result.dynamic_partitions_requests for k in r.partition_keys}
    assert asked == {"city", run.prompt_id, run.id}
    assert {e.partition for e in result.asset_events} == {"city", run.prompt_id}
    synced(staged, instance)
    result, _ = tick(staged, catalog_sync, instance, cursor)
    assert isinstance(result, dg.SkipReason)
