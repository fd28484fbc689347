"""The page's forms for prompts and sweeps, and batches."""

from __future__ import annotations

import dagster as dg

from cosmos_pipelines.assets.jobs import BATCH
from cosmos_pipelines.assets.partitions import PROMPTS, SCENES, VIDEOS, latest
from cosmos_pipelines.assets.video_checks import CHECKS
from cosmos_pipelines.definitions import build_definitions
from tests.support.dagster_project import (
    QUIET,
    add_prompt,
    add_run,
    failure_of,
    metadata_of,
    run_job,
)
from tests.support.project import Project


def test_prompts_from_the_form_are_registered_and_shown_with_their_scene(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    texts = ["one", "two"]
    result = run_job(
        staged, instance, "create_prompts", "register_prompts", scene="city", texts=texts
    )
    assert result.success
    ids = result.output_for_node("register_prompts")
    assert [staged.catalog.get_prompt(i).text for i in ids] == texts
    assert set(instance.get_dynamic_partitions("prompts")) == set(ids)
    assert metadata_of(instance, PROMPTS, ids[0])["text"] == "one"
    assert metadata_of(instance, SCENES, "city")["frames"] == 6


def test_a_prompt_form_for_a_scene_that_there_is_not_is_refused(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    result = run_job(
        staged, instance, "create_prompts", "register_prompts", scene="nowhere", texts=["a"]
    )
    as_dagster_failure = failure_of(result)
    assert (
        as_dagster_failure
        and as_dagster_failure.description
        and "nowhere" in as_dagster_failure.description
    )
    assert staged.catalog.list_prompts() == []


def test_a_sweep_is_every_prompt_with_every_recipe_and_seed(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    prompts = [add_prompt(staged, text).id for text in ("one", "two")]
    staged.catalog.put_recipe("soft", "stand_in", "transfer", {"guidance": 3.0})
    staged.catalog.put_recipe("hard", "stand_in", "transfer", {"guidance": 9.0})
    result = run_job(
        staged,
        instance,
        "create_runs",
        "register_runs",
        prompts=prompts,
        recipes=["soft", "hard"],
        seeds=[1, 2],
        settings={"num_steps": 5},
    )
    assert result.success
    runs = staged.catalog.queued_runs()
    cells = {(r.prompt_id, r.recipe, r.execution_config["seed"]) for r in runs}
    assert len(runs) == len(cells) == 8
    assert {r.execution_config["num_steps"] for r in runs} == {5}
    assert {r.execution_config["guidance"] for r in runs} == {3.0, 9.0}
    assert set(instance.get_dynamic_partitions("runs")) == {r.id for r in runs}


def test_a_sweep_with_one_impossible_cell_registers_nothing(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    prompt = add_prompt(staged).id
    (staged.settings.inputs / "city" / "depth.mp4").unlink()
    result = run_job(
        staged,
        instance,
        "create_runs",
        "register_runs",
        prompts=[prompt],
        settings={"weights": {"depth": 0.5}},
        seeds=[1, 2],
    )
    as_dagster_failure = failure_of(result)
    assert (
        as_dagster_failure
        and as_dagster_failure.description
        and "depth" in as_dagster_failure.description
    )
    assert staged.catalog.list_runs() == []


def test_a_batch_records_each_run_in_its_partition_with_its_checks(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    runs = [add_run(staged, text) for text in ("one", "two")]
    ids = [run.id for run in runs]
    result = run_job(staged, instance, BATCH, "execute_batch", run_ids=ids)
    assert result.success
    done = [staged.catalog.get_run(i) for i in ids]
    assert {run.status for run in done} == {"completed"}
    assert len({run.batch_id for run in done}) == 1
    for run in done:
        assert metadata_of(instance, VIDEOS, run.id)["sha256"] == run.outputs["sha256"]
    key = dg.AssetCheckKey(VIDEOS, "hash")
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    assert {(h.partition, h.run_id) for h in history} == {(i, result.run_id) for i in ids}
    assert len(CHECKS) == len({s.name for s in _specs(staged)})


def _specs(project: Project) -> list[dg.AssetCheckSpec]:
    from cosmos_pipelines.definitions import build_definitions

    graph = build_definitions(project.settings).resolve_asset_graph()
    return [graph.get_check_spec(k) for k in graph.asset_check_keys if k.asset_key == VIDEOS]


def test_a_failed_run_in_a_batch_fails_the_step_and_keeps_its_mates(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    good, bad = add_run(staged, "works"), add_run(staged, "blocked: lifeless")
    result = run_job(staged, instance, BATCH, "execute_batch", run_ids=[good.id, bad.id])
    as_dagster_failure = failure_of(result)
    assert (
        as_dagster_failure
        and as_dagster_failure.description
        and as_dagster_failure.description.startswith("1 of 2 runs did not complete")
    )
    assert bad.id in as_dagster_failure.description
    assert latest(instance, VIDEOS, good.id) is not None
    assert latest(instance, VIDEOS, bad.id) is None
    assert staged.catalog.get_run(good.id).status == "completed"


def test_a_sweep_that_is_executed_again_enters_no_run_a_second_time(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    prompt = add_prompt(staged).id
    form = {"prompts": [prompt], "seeds": [1, 2, 2]}
    first = run_job(staged, instance, "create_runs", "register_runs", **form)
    made = {run.id for run in staged.catalog.list_runs()}
    assert first.success
    assert len(made) == 3  # a seed that is asked for twice is two runs
    job = build_definitions(staged.settings).resolve_job_def("create_runs")
    again = job.execute_in_process(
        instance=instance,
        run_config=QUIET | {"ops": {"register_runs": {"config": {**form, "seeds": [1, 2, 2, 3]}}}},
        tags={"dagster/parent_run_id": first.run_id, "dagster/root_run_id": first.run_id},
        raise_on_error=False,
    )
    assert again.success
    assert made < {run.id for run in staged.catalog.list_runs()}
    assert len(staged.catalog.list_runs()) == 4  # what is new in it is entered
    assert run_job(staged, instance, "create_runs", "register_runs", **form).success
    assert len(staged.catalog.list_runs()) == 7  # a new order is another one
