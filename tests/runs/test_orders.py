"""Orders of prompts x recipes x seeds: told with few reads, queued once, undone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.errors import InputError, StateError
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.orders import cancel_waiting, describe_cells, queue_cells
from cosmos_pipelines.runs.sweep import Cell, plan_cells
from cosmos_pipelines.settings import Settings
from tests.support.project import make_project


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A project with a scene."""
    project = make_project(tmp_path / "home")
    project.scene("city")
    project.catalog.close()
    return project.settings


def planned(
    catalog: Catalog, settings: Settings, prompts: int, seeds: int, *, upscale: bool = False
) -> list[Cell]:
    """The cells of a sweep with a recipe that is possible and one that is not."""
    made = [
        register_prompt(catalog, settings, f"Fog number {n} over the city", "city")[0].id
        for n in range(prompts)
    ]
    catalog.put_recipe("soft", "preview", "transfer", {"weights": {"depth": 1.0}})
    catalog.put_recipe("wrong", "cosmos3", "transfer", {"sigma_max": 3.0})
    recipes = ["soft", "wrong"]
    how: Any = {"looking": "foresee", "upscale": upscale}
    return plan_cells(catalog, settings, made, recipes, range(seeds), {}, **how)


def queue(catalog: Catalog, settings: Settings, cells: list[Cell], **given: Any) -> dict[str, Any]:
    usual = {"key": "k" * 8, "shown": None, "backend": None, "tags": ["batch:fog"]}
    return queue_cells(catalog, settings, cells, **{**usual, **given})


def test_one_key_sent_by_many_threads_at_once_orders_once(
    catalog: Catalog, settings: Settings
) -> None:
    planned(catalog, settings, 2, 1)

    def send(_: int) -> dict[str, Any]:
        return queue(catalog, settings, planned(catalog, settings, 2, 5))

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(8)))
    runs = catalog.list_runs(limit=None)
    assert len(runs) == 10
    assert sorted(answer["new"] for answer in answers) == [0] * 7 + [10]
    assert {tuple(answer["runs"]) for answer in answers} == {tuple(r for r in answers[0]["runs"])}
    assert queue(catalog, settings, planned(catalog, settings, 2, 5), key="other-key")["new"] == 10


def test_the_4k_of_an_order_that_is_sent_twice_are_behind_the_videos_of_the_first_time(
    catalog: Catalog, settings: Settings
) -> None:
    alone = queue(catalog, settings, planned(catalog, settings, 2, 2))
    first = queue(catalog, settings, planned(catalog, settings, 2, 2, upscale=True))
    again = queue(catalog, settings, planned(catalog, settings, 2, 2, upscale=True))
    assert (alone["new"], first["new"], again["new"]) == (4, 4, 0)
    assert first["runs"][:4] == alone["runs"]
    assert again["runs"] == first["runs"]
    runs = catalog.find_runs(first["runs"])
    parents = [runs[run_id].parent_run_id for run_id in first["runs"]]
    assert parents == [None] * 4 + alone["runs"]
    assert all(run.queued_at for run in runs.values())


def test_a_refused_cell_is_told_and_the_others_are_queued_in_one_transaction(
    catalog: Catalog, settings: Settings
) -> None:
    cells = planned(catalog, settings, 2, 2)
    plan = describe_cells(catalog, settings, cells, None)
    assert (plan["runs"], plan["refused"], len(plan["loads"])) == (4, 4, 1)
    refused = [cell for cell in plan["cells"] if cell["refusal"]]
    assert {cell["recipe"] for cell in refused} == {"wrong"}
    assert all("sigma_max" in cell["refusal"] for cell in refused)
    with pytest.raises(StateError, match="8 runs were shown, but 4 of 8"):
        queue(catalog, settings, cells, shown=8)
    assert catalog.list_runs() == []
    answer = queue(catalog, settings, cells, shown=4)
    assert answer["new"] == len(catalog.list_runs(tag="batch:fog")) == 4
    with pytest.raises(InputError, match="All 4 videos are refused"):
        queue(catalog, settings, [cell for cell in cells if cell.refusal])


def test_undo_cancels_what_has_not_begun_and_leaves_the_rest(
    catalog: Catalog, settings: Settings
) -> None:
    cells = planned(catalog, settings, 1, 3)
    first, *others = queue(catalog, settings, cells)["runs"]
    assert catalog.claim(first, "somebody")
    undone = cancel_waiting(catalog, [first, *others, "rs_nothing"])
    assert sorted(undone["cancelled"]) == sorted(others)
    assert undone["statuses"] == {"uploading": 1}
    again = queue(catalog, settings, planned(catalog, settings, 1, 3))
    assert (again["new"], again["statuses"]) == (0, {"uploading": 1, "cancelled": 2})


def test_forty_cells_are_told_with_as_many_reads_as_four(
    catalog: Catalog, settings: Settings
) -> None:
    def reads(prompts: int, seeds: int) -> int:
        planned(catalog, settings, prompts, seeds)  # whatever is made or measured is there now
        known = [prompt.id for prompt in catalog.list_prompts(limit=prompts)]
        asked: list[str] = []

        def note(*told_of: Any) -> None:
            asked.append(told_of[2])

        event.listen(catalog.engine, "before_cursor_execute", note)
        cells = plan_cells(catalog, settings, known, ["soft"], range(seeds), {}, looking="foresee")
        assert describe_cells(catalog, settings, cells, None)["runs"] == prompts * seeds
        event.remove(catalog.engine, "before_cursor_execute", note)
        return len(asked)

    assert reads(8, 5) == reads(2, 2) <= 5
