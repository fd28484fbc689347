"""Many runs are registered as cheaply as few: counted in statements, by each door."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import dagster as dg
import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.runs.ordering import plan_orders
from cosmos_pipelines.runs.scene_requests import read_request, register_request
from tests.support.counting import counting
from tests.support.dagster_project import add_prompt, run_job, synced
from tests.support.project import Project

FEW, MANY = 2, 30
Door = Callable[[Project, dg.DagsterInstance, list[str]], object]


def _command(project: Project, _: dg.DagsterInstance, prompts: list[str]) -> object:
    with CosmosAPI(project.settings.home) as cosmos:
        return cosmos.batch_inference(prompts, engine="stand_in", queue=True)


def _enhancements(project: Project, _: dg.DagsterInstance, prompts: list[str]) -> object:
    with CosmosAPI(project.settings.home) as cosmos:
        return cosmos.enhance_prompts(prompts, engine="stand_in", queue=True)


def _order(project: Project, _: dg.DagsterInstance, prompts: list[str]) -> object:
    with CosmosAPI(project.settings.home) as cosmos:
        return cosmos.queue_order(prompts, engine="stand_in", key=f"order-{len(prompts):03}")


def _job(project: Project, instance: dg.DagsterInstance, prompts: list[str]) -> object:
    form = {"prompts": prompts, "engine": "stand_in"}
    assert run_job(project, instance, "create_runs", "register_runs", **form).success
    assert len(instance.get_dynamic_partitions("runs")) >= len(prompts)
    return None


@pytest.mark.parametrize("door", [_command, _enhancements, _order, _job])
def test_thirty_runs_are_registered_with_as_many_statements_as_two(
    staged: Project, instance: dg.DagsterInstance, door: Door
) -> None:
    known = [add_prompt(staged, f"look {n}").id for n in range(FEW + MANY)]
    door(staged, instance, known[:1])  # whatever is made once is there now

    def statements(prompts: list[str]) -> Counter[str]:
        with counting(staged.settings) as counts:
            door(staged, instance, prompts)
        return Counter({name: n for name, n in counts.items() if "statement" in name})

    assert statements(known[:FEW]) == statements(known[FEW:])
    assert len(staged.catalog.list_runs(limit=None)) == 1 + FEW + MANY


def test_runs_of_a_sweep_are_registered_in_one_transaction(staged: Project) -> None:
    prompts = [add_prompt(staged, f"look {n}").id for n in range(MANY)]
    before = len(staged.catalog.list_runs(limit=None))
    with CosmosAPI(staged.settings.home) as cosmos:
        with pytest.raises(CosmosError, match="nothing"):
            cosmos.batch_inference([*prompts, "nothing"], engine="stand_in", queue=True)
        assert len(staged.catalog.list_runs(limit=None)) == before
        made = cosmos.batch_inference([*prompts, prompts[0]], engine="stand_in", queue=True)
    assert len({run["id"] for run in made}) == MANY + 1  # a prompt that is given twice is two runs
    assert len({run["updated_at"] for run in made}) == 1
    assert [run["prompt_id"] for run in made] == [*prompts, prompts[0]]


def test_a_scene_with_many_prompts_and_recipes_reads_its_files_once(staged: Project) -> None:
    directory = staged.settings.inputs / "city"

    def statements(recipes: int) -> int:
        asked = "".join(f"[[recipe]]\nseed = {n + 10 * recipes}\n" for n in range(recipes))
        text = 'engine = "stand_in"\n[[prompt]]\ntext = "one"\n[[prompt]]\ntext = "two"\n'
        (directory / "scene.toml").write_text(text + asked)
        request = read_request(directory)
        assert request is not None
        with counting(staged.settings) as counts:
            _, runs = register_request(staged.catalog, staged.settings, directory, request)
        assert len(runs) == 2 * recipes
        again = register_request(staged.catalog, staged.settings, directory, request)
        assert again[1] == []
        return counts["statement"]

    statements(1)
    each = 4  # a recipe is planned by itself: its prompts, the recipes, the scene
    assert statements(9) - statements(2) <= each * 7


def test_what_a_form_registered_appears_on_the_page_with_the_next_tick(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    prompt = add_prompt(staged)
    _job(staged, instance, [prompt.id])
    (run,) = staged.catalog.list_runs()
    assert instance.has_dynamic_partition("runs", run.id)
    synced(staged, instance)
    assert instance.has_dynamic_partition("prompts", prompt.id)
    assert instance.get_latest_materialization_event(dg.AssetKey("prompts")) is not None


def test_orders_of_many_reviewed_runs_are_planned_with_as_many_statements_as_of_two(
    staged: Project,
) -> None:
    prompts = [add_prompt(staged, f"look {n}").id for n in range(FEW + MANY)]
    with CosmosAPI(staged.settings.home) as cosmos:
        made = cosmos.batch_inference(prompts, engine="stand_in", queue=True)
    ids = [run["id"] for run in made]

    def statements(runs: list[str]) -> int:
        with counting(staged.settings) as counts:
            found = plan_orders(staged.catalog, staged.settings, "again", runs)
        assert len(found.planned) == len(runs)
        return counts["statement"]

    assert statements(ids[:FEW]) == statements(ids[FEW:])
