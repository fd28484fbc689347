"""Dagster's own filters find the Dagster runs of a scene, prompt, recipe, batch or tag."""

from __future__ import annotations

import re
from dataclasses import replace

import dagster as dg
import pytest

from cosmos_pipelines.assets.jobs import BATCH
from cosmos_pipelines.assets.partitions import VIDEOS
from cosmos_pipelines.assets.run_tags import tags_of
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.materialize import materialize_runs
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.sensors.dispatch_queue import dispatch_queue
from tests.support.dagster_project import add_prompt, add_run, materialize, run_job, tick
from tests.support.project import Project

KEY = re.compile(r"[A-Za-z0-9_.-]{1,63}/[A-Za-z0-9_.-]{1,63}")


def found(instance: dg.DagsterInstance, **tags: str) -> int:
    """How many Dagster runs its own filter finds by these tags, which begin with `cosmos/`."""
    wanted = {f"cosmos/{name}": value for name, value in tags.items()}
    return len(instance.get_runs(dg.RunsFilter(tags=wanted)))


def found_by_own(instance: dg.DagsterInstance, kind: str, name: str, value: str) -> int:
    """How many it finds by a tag that a value has of its own."""
    return len(instance.get_runs(dg.RunsFilter(tags={f"cosmos.{kind}/{name}": value})))


def tagged_run(project: Project, text: str = "works") -> Run:
    """A run with a recipe, in a batch that has a name, and a tag with a blank."""
    parts = project.catalog, project.settings
    project.catalog.put_recipe("golden hour", "stand_in", "transfer", {"guidance": 3.0})
    planned = plan_transfer(*parts, add_prompt(project, text).id, {}, recipe="golden hour")
    return enter(*parts, planned, queued=True, tags=("batch:first look", "night shot"))


@pytest.mark.parametrize("way", ["the command line", "the page", "the queue"])
def test_a_dagster_run_is_found_by_what_it_makes(
    staged: Project, instance: dg.DagsterInstance, way: str
) -> None:
    run = tagged_run(staged)
    name = staged.catalog.get_prompt(str(run.prompt_id)).name
    if way == "the command line":
        materialize_runs(staged.catalog, staged.settings, [run.id])
    elif way == "the page":
        record(instance, staged.catalog, staged.settings, run)
        assert materialize(staged, instance, VIDEOS, run.id).success
    else:
        result, _ = tick(staged, dispatch_queue, instance, None)
        (request,) = result.run_requests
        job = dg.job(name="some")(lambda: None)
        instance.create_run_for_job(job, tags=dict(request.tags))
    tags = {"scene": "city", "prompt": name, "recipe": "golden hour", "batch": "first look"}
    assert found(instance, **tags) == 1
    assert found_by_own(instance, "tag", "night_shot", "night shot") == 1
    assert found(instance, scene="other") == 0


def test_a_batch_is_found_by_each_of_its_prompts(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    runs = [add_run(staged, text) for text in ("one rain", "two snow")]
    assert run_job(staged, instance, BATCH, "execute_batch", run_ids=[r.id for r in runs]).success
    names = [staged.catalog.get_prompt(str(run.prompt_id)).name for run in runs]
    assert found(instance, scene="city") == 1
    assert [found_by_own(instance, "prompt", name, name) for name in names] == [1, 1]


def test_any_name_makes_tags_that_dagster_and_postgresql_take(staged: Project) -> None:
    run = add_run(staged)
    prompt = staged.catalog.get_prompt(str(run.prompt_id))
    odd = ["夜", "é/ü: a", "golden hour", "golden_hour", "x" * 10_000, "-", "", " \n"]
    runs = [replace(run, tags=odd, recipe=name) for name in odd]
    prompts = [replace(prompt, name=name, scene=name) for name in odd]
    tags = tags_of(runs, prompts)
    assert all(KEY.fullmatch(key) for key in tags), tags
    assert all(0 < len(value.encode()) < 2704 for value in tags.values())
    shown = {value for key, value in tags.items() if key.startswith("cosmos.tag/")}
    assert {"夜", "é/ü: a", "golden hour", "golden_hour", "-"} < shown
    assert len(shown) == 6, "each has its own key"


def test_a_dagster_run_that_cannot_be_tagged_makes_its_video_all_the_same(
    staged: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError("database is locked")

    monkeypatch.setattr("cosmos_pipelines.assets.steps.tag_dagster_run", refused)
    run = add_run(staged)
    record(instance, staged.catalog, staged.settings, run)
    result = materialize(staged, instance, VIDEOS, run.id)
    assert result.success
    said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert any("database is locked" in line for line in said)


def test_a_batch_of_many_prompts_stays_readable(staged: Project) -> None:
    run = add_run(staged)
    prompt = staged.catalog.get_prompt(str(run.prompt_id))
    tags = tags_of([run], [replace(prompt, name=f"prompt_{n}") for n in range(500)])
    assert len(tags) < 30
