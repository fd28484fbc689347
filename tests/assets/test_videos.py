"""Materialising videos on the page: real instance, real processes, a stand-in for the model."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import update

from cosmos_pipelines.assets.partitions import (
    DATA_VERSION,
    ENHANCED,
    FILES,
    PROMPTS,
    UPSCALED,
    VIDEOS,
    latest,
)
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.assets.video_checks import CHECKS
from cosmos_pipelines.catalog.tables import runs
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.plan import plan_upscale
from tests.support.dagster_project import add_prompt, add_run, failure_of, materialize, metadata_of
from tests.support.project import Project, write_video


def known(project: Project, instance: dg.DagsterInstance, text: str = "works") -> str:
    """The id of a pending run that Dagster knows."""
    run = add_run(project, text)
    record(instance, project.catalog, project.settings, run)
    return run.id


def test_a_materialised_video_shows_its_picture_numbers_and_origin(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance)
    result = materialize(staged, instance, VIDEOS, run_id)
    assert result.success
    run = staged.catalog.get_run(run_id)
    assert run.dagster_run_id == result.run_id
    shown = metadata_of(instance, VIDEOS, run_id)
    assert shown["preview"].startswith(
        f"![shown by cosmos ui](/cosmos/preview/run/{run_id}.webp?v="
    )
    assert shown["run"] == f"[{run_id}](/cosmos/run/{run_id})"
    assert shown["log"] == f"[log](/cosmos/run/{run_id}#log)"
    assert (shown["size"], shown["frames"], shown["frames a second"]) == ("64 x 48", 6, 24.0)
    assert shown["prompt"] == "works"
    assert shown["engine"] == "stand-in of the tests"
    assert shown["sha256"] == run.outputs["sha256"]


def test_a_video_names_the_exact_event_of_its_prompt(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance)
    materialize(staged, instance, VIDEOS, run_id)
    prompt_id = staged.catalog.get_run(run_id).prompt_id
    assert prompt_id is not None
    source, made = latest(instance, PROMPTS, prompt_id), latest(instance, VIDEOS, run_id)
    assert source and made and made.asset_materialization
    tags = made.asset_materialization.tags or {}
    assert tags["dagster/input_event_pointer/prompts"] == str(source.storage_id)
    assert tags["dagster/input_data_version/prompts"] == prompt_id.removeprefix("ps_")
    assert tags[DATA_VERSION] == staged.catalog.get_run(run_id).outputs["sha256"]


def test_the_checks_of_a_video_are_recorded_for_its_partition(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance)
    result = materialize(staged, instance, VIDEOS, run_id)
    found = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert set(found) == set(CHECKS)
    assert {e.partition for e in found.values()} == {run_id}
    assert [name for name, e in found.items() if not e.passed] == []


def test_a_completed_run_is_recorded_again_but_not_executed_again(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance)
    materialize(staged, instance, VIDEOS, run_id)
    before = staged.catalog.get_run(run_id)
    assert materialize(staged, instance, VIDEOS, run_id).success
    assert staged.catalog.get_run(run_id) == before
    assert len(instance.fetch_materializations(VIDEOS, limit=10).records) == 2


def test_a_changed_file_fails_its_hash_check(staged: Project, instance: dg.DagsterInstance) -> None:
    run_id = known(staged, instance)
    materialize(staged, instance, VIDEOS, run_id)
    video = staged.settings.home / staged.catalog.get_run(run_id).outputs["video"]
    video.write_bytes(video.read_bytes() + b"\0" * 8)
    result = materialize(staged, instance, VIDEOS, run_id)
    failed = [e.check_name for e in result.get_asset_check_evaluations() if not e.passed]
    assert "hash" in failed


def failed_checks(result: dg.ExecuteInProcessResult) -> list[str]:
    """Names of the checks that did not pass."""
    return [e.check_name for e in result.get_asset_check_evaluations() if not e.passed]


def test_a_video_is_compared_with_what_was_expected_when_it_was_made(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance)
    materialize(staged, instance, VIDEOS, run_id)
    outputs = staged.catalog.get_run(run_id).outputs
    assert outputs["expected"] == {"width": 64, "height": 48, "frames": 6, "fps": "24"}
    staged.scene(frames=8)  # rendered again, longer
    assert failed_checks(materialize(staged, instance, VIDEOS, run_id)) == ["up_to_date"]
    write_video(staged.settings.home / outputs["video"], frames=8)
    failed = failed_checks(materialize(staged, instance, VIDEOS, run_id))
    assert {"frames", "hash"} <= set(failed)


def test_what_was_expected_of_a_run_of_an_earlier_version_is_predicted_anew(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance)
    materialize(staged, instance, VIDEOS, run_id)
    outputs = dict(staged.catalog.get_run(run_id).outputs)
    del outputs["expected"]
    with staged.catalog.write() as tx:
        tx.connection.execute(update(runs).where(runs.c.id == run_id).values(outputs=outputs))
    assert failed_checks(materialize(staged, instance, VIDEOS, run_id)) == []
    staged.scene(frames=8)
    assert "frames" in failed_checks(materialize(staged, instance, VIDEOS, run_id))


def test_the_hash_is_of_the_bytes_whatever_the_time_of_the_file_says(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance)
    materialize(staged, instance, VIDEOS, run_id)
    video = staged.settings.home / staged.catalog.get_run(run_id).outputs["video"]
    stat, content = video.stat(), bytearray(video.read_bytes())
    content[-1] ^= 1
    with video.open("r+b") as file:  # the same size, time and inode
        file.write(content)
    os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "hash" in failed_checks(materialize(staged, instance, VIDEOS, run_id))


def test_a_failed_run_is_one_line_on_the_page_and_not_tried_again(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance, "blocked: lifeless")
    result = materialize(staged, instance, VIDEOS, run_id)
    as_dagster_failure = failure_of(result)
    assert (
        as_dagster_failure
        and as_dagster_failure.description
        and "lifeless" in as_dagster_failure.description
    )
    assert "\n" not in as_dagster_failure.description
    assert as_dagster_failure.metadata["error kind"].value == "blocked"
    assert latest(instance, VIDEOS, run_id) is None


def test_a_run_that_there_is_not_is_refused_in_one_line(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    instance.add_dynamic_partitions("runs", ["rs_none"])
    as_dagster_failure = failure_of(materialize(staged, instance, VIDEOS, "rs_none"))
    assert (
        as_dagster_failure
        and as_dagster_failure.description
        and "There is no run 'rs_none'" in as_dagster_failure.description
    )


def test_an_upscale_is_a_run_of_its_own_in_the_partition_of_its_parent(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance)
    materialize(staged, instance, VIDEOS, run_id)
    result = materialize(staged, instance, UPSCALED, run_id, engine="stand_in", control_weight=0.25)
    assert result.success
    (run,) = staged.catalog.list_runs(model_type="upscale")
    assert (run.status, run.parent_run_id) == ("completed", run_id)
    assert run.execution_config["control_weight"] == 0.25
    shown = metadata_of(instance, UPSCALED, run_id)
    assert run.id in shown["run"]
    assert shown["parent run"].startswith(f"[{run_id}](/cosmos/run/{run_id}) ([partition](/assets/")


def test_an_upscale_of_an_unfinished_run_is_refused_before_anything_is_registered(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id = known(staged, instance)
    with pytest.raises(dg.DagsterError, match="Could not find a partition"):
        materialize(staged, instance, UPSCALED, run_id, engine="stand_in")
    instance.add_dynamic_partitions("videos_to_upscale", [run_id])  # by somebody else
    as_dagster_failure = failure_of(
        materialize(staged, instance, UPSCALED, run_id, engine="stand_in")
    )
    assert (
        as_dagster_failure
        and as_dagster_failure.description
        and "nothing to upscale" in as_dagster_failure.description
    )
    assert staged.catalog.list_runs(model_type="upscale") == []


def test_an_upscale_form_with_the_run_of_something_else_is_refused(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run_id, other = known(staged, instance), known(staged, instance, "other")
    materialize(staged, instance, VIDEOS, run_id)
    as_dagster_failure = failure_of(materialize(staged, instance, UPSCALED, run_id, run_id=other))
    assert (
        as_dagster_failure
        and as_dagster_failure.description
        and "is a transfer" in as_dagster_failure.description
    )


def test_an_upscaled_file_has_its_own_run_as_partition(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    video = staged.settings.inputs / "city" / "color.mp4"
    planned = plan_upscale(
        staged.catalog, staged.settings, None, {}, video=Path(video), engine="stand_in"
    )
    run = enter(staged.catalog, staged.settings, planned)
    record(instance, staged.catalog, staged.settings, run)
    assert materialize(staged, instance, FILES, run.id).success
    assert metadata_of(instance, FILES, run.id)["source file"] == str(video)


def test_an_enhancement_makes_a_new_prompt_with_its_parent(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    prompt = add_prompt(staged)
    record(instance, staged.catalog, staged.settings, prompt)
    assert materialize(staged, instance, ENHANCED, prompt.id, engine="stand_in", seed=3).success
    (run,) = staged.catalog.list_runs(model_type="enhance")
    assert run.execution_config["seed"] == 3
    new = run.outputs["enhanced_prompt_id"]
    assert instance.has_dynamic_partition("prompts", new)
    assert metadata_of(instance, PROMPTS, new)["enhanced from"].startswith(f"[{prompt.id}](")
    assert metadata_of(instance, ENHANCED, prompt.id)["new prompt"].startswith(f"[{new}](")
