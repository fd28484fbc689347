"""A sweep: prompts x recipes x seeds, each cell planned by itself.

The prompts, the recipes and the scenes of all cells are read once. A cell that is refused leaves
the others alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final, TypeVar

from cosmos_pipelines.catalog.records import Prompt, Recipe, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, InputError
from cosmos_pipelines.operations import Transfer
from cosmos_pipelines.runs.plan import Planned, enhancement_of, plan_upscale_of, transfer_of
from cosmos_pipelines.runs.scenes import Looking, current_scene
from cosmos_pipelines.settings import Settings

T = TypeVar("T")

MOST_CELLS: Final = 2000
"""Runs of one order, with the 4K of its videos."""


@dataclass(frozen=True)
class Cell:
    """One video of a sweep: its plan, or why it is refused."""

    prompt_id: str
    prompt_name: str
    recipe: str | None
    seed: int | None
    plan: Planned | None = None
    larger: Planned | None = None
    """The 4K that is ordered with the video."""
    refusal: CosmosError | None = None


def plan_cells(
    catalog: Catalog,
    settings: Settings,
    prompt_ids: Sequence[str],
    recipes: Sequence[str],
    seeds: Sequence[int],
    fields: Mapping[str, Any],
    *,
    engine: str | None = None,
    upscale: bool = False,
    looking: Looking = "renew",
) -> list[Cell]:
    """Plan each cell; without recipes the fields alone, without seeds the seed of recipe or fields.

    `fields` override the recipes, and a seed overrides both. `upscale`: also plan the 4K of each
    video; a cell whose 4K is refused is refused. `looking`: as for `plan_transfer`.

    Raises:
        InputError: no prompt, too many cells, or fields that no engine can use.
    """
    fields = Transfer.named(fields, "order")
    Transfer.parse(fields, what="order")
    if not prompt_ids:
        raise InputError("No prompt was chosen.", hint="Choose one at least.")
    down, across = _distinct(prompt_ids), (_distinct(recipes), _distinct(seeds))
    number = len(down) * math.prod(max(1, len(some)) for some in across) * (2 if upscale else 1)
    if number > MOST_CELLS:
        raise InputError(
            f"{number:,} runs are more than one order can have: {MOST_CELLS:,} are allowed.",
            hint="Choose fewer prompts, recipes or seeds.",
        )
    cells = plan_each(catalog, settings, down, *across, fields, engine=engine, looking=looking)
    return [_with_4k(settings, cell) for cell in cells] if upscale else cells


def plan_each(
    catalog: Catalog,
    settings: Settings,
    prompt_ids: Sequence[str],
    recipes: Sequence[str],
    seeds: Sequence[int],
    fields: Mapping[str, Any],
    *,
    engine: str | None = None,
    looking: Looking = "renew",
) -> list[Cell]:
    """Plan a run of each prompt x recipe x seed, as often as it is given; as `plan_cells`."""
    reads = Reads(catalog, settings, looking, prompt_ids)
    across = list(product(_or_none(recipes), _or_none(seeds)))
    return [
        _cell(reads, prompt_id, recipe, seed, fields, engine)
        for prompt_id in prompt_ids
        for recipe, seed in across
    ]


def plan_enhancements(
    catalog: Catalog,
    settings: Settings,
    prompt_ids: Sequence[str],
    fields: Mapping[str, Any],
    *,
    engine: str | None = None,
    looking: Looking = "renew",
) -> list[Planned]:
    """Plan an enhancement of each prompt. `looking` and errors as for `plan_enhance`."""
    reads = Reads(catalog, settings, looking, prompt_ids)
    prompts = [reads.prompt(prompt_id) for prompt_id in prompt_ids]
    return [enhancement_of(settings, p, fields, engine, reads.scene(p.scene)) for p in prompts]


def plans_of(cells: Iterable[Cell]) -> list[Planned]:
    """Return the plans of cells none of which may be refused.

    Raises:
        CosmosError: the refusal of the first cell that is refused.
    """
    plans = []
    for cell in cells:
        if cell.plan is None:
            assert cell.refusal is not None
            raise cell.refusal
        plans.append(cell.plan)
    return plans


def _with_4k(settings: Settings, cell: Cell) -> Cell:
    """A cell with the 4K of its video, or refused for it."""
    if cell.plan is None:
        return cell
    try:
        return replace(cell, larger=plan_upscale_of(settings, cell.plan))
    except CosmosError as e:
        no_4k = InputError(f"Its 4K is refused: {e.message}", hint=e.hint)
        return replace(cell, plan=None, refusal=no_4k)


def _or_none(chosen: Sequence[T]) -> list[T | None]:
    return [*chosen] or [None]


def _distinct(chosen: Sequence[T]) -> list[T]:
    return [*dict.fromkeys(chosen)]


class Reads:
    """What several plans have in common, each read once; also that it cannot be read."""

    def __init__(
        self, catalog: Catalog, settings: Settings, looking: Looking, prompt_ids: Sequence[str]
    ) -> None:
        self.catalog, self.settings, self.looking = catalog, settings, looking
        self._known = catalog.find_prompts(prompt_ids)
        self._recipes = {recipe.name: recipe for recipe in catalog.list_recipes()}
        self._scenes: dict[str, SceneRow | CosmosError] = {}

    def prompt(self, wanted: str) -> Prompt:
        if wanted not in self._known:  # a name, or the beginning of an id
            self._known[wanted] = self.catalog.get_prompt(wanted)
        return self._known[wanted]

    def recipe(self, name: str) -> Recipe:
        return self._recipes.get(name) or self.catalog.get_recipe(name)

    def scene(self, key: str) -> Callable[[], SceneRow]:
        """Return what gives a scene as it is now, or raises the error of the first look."""

        def look() -> SceneRow:
            if key not in self._scenes:
                try:
                    found = current_scene(self.catalog, self.settings, key, self.looking)
                    self._scenes[key] = found
                except CosmosError as e:
                    self._scenes[key] = e
            scene = self._scenes[key]
            if isinstance(scene, CosmosError):
                raise scene
            return scene

        return look


def _cell(
    reads: Reads,
    prompt_id: str,
    recipe: str | None,
    seed: int | None,
    fields: Mapping[str, Any],
    engine: str | None,
) -> Cell:
    name = prompt_id
    given = {**fields, **({} if seed is None else {"seed": seed})}
    try:
        prompt = reads.prompt(prompt_id)
        prompt_id, name = prompt.id, prompt.name
        known = None if recipe is None else reads.recipe(recipe)
        row = {"prompt_id": prompt.id, "recipe": recipe}
        look = reads.scene(prompt.scene)
        plan = transfer_of(reads.settings, prompt, known, given, engine, look, row)
    except CosmosError as e:
        return Cell(prompt_id, name, recipe, seed, refusal=e)
    return Cell(prompt_id, name, recipe, seed, plan=plan)
