"""A partition exists for what is there or can be made, so that "Missing" on the page is true."""

from __future__ import annotations

import json
from collections.abc import Iterable

import dagster as dg
import pytest

from cosmos_pipelines.assets.jobs import BATCH
from cosmos_pipelines.assets.partitions import (
    ENHANCED,
    PARTITIONS,
    PROMPTS,
    UPSCALED,
    VIDEOS,
    latest,
)
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.materialize import materialize_runs
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.plan import plan_enhance, plan_upscale
from cosmos_pipelines.sensors.catalog_sync import catalog_sync
from tests.support.dagster_project import (
    add_prompt,
    add_run,
    failure_of,
    materialize,
    run_job,
    synced,
    tick,
)
from tests.support.project import Project, write_video


def keys(instance: dg.DagsterInstance, asset: dg.AssetKey) -> set[str]:
    """The partitions of an asset."""
    return {*instance.get_dynamic_partitions(str(PARTITIONS[asset].name))}


def missing(instance: dg.DagsterInstance, asset: dg.AssetKey) -> set[str]:
    """The partitions that a backfill of what is missing would make."""
    return keys(instance, asset) - {*instance.get_materialized_partitions(asset)}


def known(project: Project, instance: dg.DagsterInstance, text: str = "works") -> Run:
    """A pending run that Dagster knows."""
    run = add_run(project, text)
    record(instance, project.catalog, project.settings, run)
    return run


def made(project: Project, instance: dg.DagsterInstance, text: str = "works") -> Run:
    """A completed run that Dagster knows."""
    run = known(project, instance, text)
    assert materialize(project, instance, VIDEOS, run.id).success
    return project.catalog.get_run(run.id)


def now_of(project: Project, runs: Iterable[Run]) -> list[Run]:
    return project.catalog.get_runs([run.id for run in runs])


def test_a_4k_video_is_missing_only_where_there_is_a_finished_video(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    pending, cancelled, failed, finished = (
        known(staged, instance, text) for text in ("a", "b", "blocked: lifeless", "works")
    )
    staged.catalog.cancel_pending(cancelled.id)
    for run in (failed, finished):
        materialize(staged, instance, VIDEOS, run.id)
    record(instance, staged.catalog, staged.settings, *now_of(staged, [pending, cancelled, failed]))
    synced(staged, instance)
    assert missing(instance, UPSCALED) == {finished.id}
    assert materialize(staged, instance, UPSCALED, finished.id, engine="stand_in").success
    synced(staged, instance)
    assert missing(instance, UPSCALED) == set()
    assert keys(instance, VIDEOS) == {pending.id, cancelled.id, failed.id, finished.id}


@pytest.mark.parametrize("way", ["its asset", "a batch", "the command line"])
def test_the_4k_of_a_video_can_be_made_as_soon_as_the_video_is_finished(
    staged: Project, instance: dg.DagsterInstance, way: str
) -> None:
    runs = [known(staged, instance, text) for text in ("one", "two")]
    if way == "its asset":
        for run in runs:
            materialize(staged, instance, VIDEOS, run.id)
    elif way == "a batch":
        run_job(staged, instance, BATCH, "execute_batch", run_ids=[run.id for run in runs])
    else:
        materialize_runs(staged.catalog, staged.settings, [run.id for run in runs])
    assert {run.status for run in now_of(staged, runs)} == {"completed"}
    assert keys(instance, UPSCALED) == {run.id for run in runs}


def test_making_all_missing_better_prompts_leaves_none_missing(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    prompts = [add_prompt(staged, f"street {n}") for n in range(5)]
    record(instance, staged.catalog, staged.settings, *prompts)
    assert missing(instance, ENHANCED) == {prompt.id for prompt in prompts}
    for key in missing(instance, ENHANCED):
        assert materialize(staged, instance, ENHANCED, key, engine="stand_in").success
    synced(staged, instance)
    assert missing(instance, ENHANCED) == set()
    assert len(keys(instance, PROMPTS)) == 10
    assert missing(instance, PROMPTS) == set()


def test_a_prompt_that_a_person_edited_can_be_enhanced_like_any_other(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    first = add_prompt(staged)
    edited, _ = staged.catalog.add_prompt(
        "An edited text", None, first.scene, "edited", {}, parent_prompt_id=first.id
    )
    record(instance, staged.catalog, staged.settings, first, edited)
    assert edited.id in keys(instance, ENHANCED)
    made = latest(instance, PROMPTS, edited.id)
    assert made is not None
    assert made.asset_materialization is not None
    shown = str(made.asset_materialization.metadata["edited from"].value)
    assert f"[{first.id}](/cosmos/prompt/{first.id})" in shown


def test_a_better_prompt_is_enhanced_again_only_by_request(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    first = add_prompt(staged)
    record(instance, staged.catalog, staged.settings, first)
    materialize(staged, instance, ENHANCED, first.id, engine="stand_in")
    (run,) = staged.catalog.list_runs(model_type="enhance")
    better = run.outputs["enhanced_prompt_id"]
    assert better not in keys(instance, ENHANCED)
    project = staged.catalog, staged.settings
    again = enter(*project, plan_enhance(*project, better, {}, engine="stand_in"))
    (done,) = materialize_runs(*project, [again.id])
    assert done.status == "completed"
    assert latest(instance, ENHANCED, better) is not None
    assert missing(instance, ENHANCED) == set()


def test_a_project_of_an_earlier_version_gets_the_new_sets_and_keeps_what_it_has(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    """Then 4K videos and better prompts were in the sets of all runs and all prompts."""
    finished, pending = made(staged, instance), known(staged, instance, "later")
    assert materialize(staged, instance, UPSCALED, finished.id, engine="stand_in").success
    prompt = str(finished.prompt_id)
    assert materialize(staged, instance, ENHANCED, prompt, engine="stand_in").success
    _, cursor = tick(staged, catalog_sync, instance, None)
    for asset in (UPSCALED, ENHANCED):  # as they were
        for key in keys(instance, asset):
            instance.delete_dynamic_partition(str(PARTITIONS[asset].name), key)
    before = keys(instance, VIDEOS), keys(instance, PROMPTS)
    old = {name: value for name, value in json.loads(str(cursor)).items() if name != "sets"}
    cursor = synced(staged, instance, json.dumps(old))
    assert keys(instance, UPSCALED) == {finished.id}
    assert keys(instance, ENHANCED) == {prompt, pending.prompt_id}
    assert (keys(instance, VIDEOS), keys(instance, PROMPTS)) == before
    assert missing(instance, UPSCALED) == set()
    assert missing(instance, ENHANCED) == {pending.prompt_id}
    result, _ = tick(staged, catalog_sync, instance, cursor)
    assert isinstance(result, dg.SkipReason)


def test_dagster_s_host_maps_a_video_to_its_own_4k(staged: Project) -> None:
    graph = build_definitions(staged.settings).resolve_asset_graph()
    for child, parent in ((UPSCALED, VIDEOS), (ENHANCED, PROMPTS)):
        mapping = graph.get_partition_mapping(child, parent)
        assert isinstance(mapping, dg.IdentityPartitionMapping)


def test_every_check_that_is_no_warning_blocks(staged: Project) -> None:
    graph = build_definitions(staged.settings).resolve_asset_graph()
    specs = [graph.get_check_spec(key) for key in graph.asset_check_keys if key.asset_key == VIDEOS]
    blocking = {spec.name for spec in specs if spec.blocking}
    assert blocking == {"frames", "picture_size", "rate", "duration", "hash"}


def test_a_video_that_fails_a_check_fails_its_step(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = made(staged, instance)
    write_video(staged.settings.home / run.outputs["video"], frames=8)
    result = materialize(staged, instance, VIDEOS, run.id)
    assert not result.success
    failed = {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}
    assert {"frames", "hash"} <= failed


def test_no_4k_is_paid_for_where_the_video_is_not_the_one_that_was_verified(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = made(staged, instance)
    project = staged.catalog, staged.settings
    waiting = enter(*project, plan_upscale(*project, run.id, {}, engine="stand_in"))
    video = staged.settings.home / run.outputs["video"]
    write_video(video, seed=9)
    failure = failure_of(materialize(staged, instance, UPSCALED, run.id, engine="stand_in"))
    assert failure and failure.description and "its hash is another" in failure.description
    with pytest.raises(StateError, match=f"cosmos run --again {run.id}"):
        plan_upscale(*project, run.id, {}, engine="stand_in")
    assert [r.id for r in staged.catalog.list_runs(model_type="upscale")] == [waiting.id]
    (ended,) = materialize_runs(*project, [waiting.id])
    assert ended.status == "failed"
    assert "its hash is another" in str(ended.error_message)
