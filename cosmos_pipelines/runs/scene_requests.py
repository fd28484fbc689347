"""What a scene directory itself asks for: prompts and runs, in `scene.toml` or `prompt.txt`.

    engine = "preview"          # optional; so is everything but a prompt's text
    run = true                  # false: only register the prompts
    frames = 121                # what is rendered has so many; until then it is waited for
    num_steps = 20              # fields of an inference, for all runs

    [[prompt]]
    text = "A rainy night, neon reflections"
    negative = "cartoon"
    name = "neon_night"

    [[recipe]]                  # prompts x recipes; without any, one run a prompt
    weights = { vis = 0.2, edge = 0.5 }

    [[recipe]]
    name = "balanced"           # a stored recipe; with fields beside it, it is stored

A `prompt.txt` is one prompt with the default settings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.foreign import read_text, read_toml
from cosmos_pipelines.frozen import Frozen
from cosmos_pipelines.operations import Transfer
from cosmos_pipelines.operations.text import clean_name, clean_text
from cosmos_pipelines.person import ordering_as, user_here
from cosmos_pipelines.runs.engine_choice import engine_for
from cosmos_pipelines.runs.enter import enter_all
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import Planned
from cosmos_pipelines.runs.sweep import plan_each, plans_of
from cosmos_pipelines.settings import Settings

TOML: Final = "scene.toml"
TEXT: Final = "prompt.txt"
MOST: Final = 1 << 20
"""Bytes of either file."""
MOST_PROMPTS: Final = 1000
"""Prompts, or recipes, of one directory."""
MOST_RUNS: Final = 2000
"""Prompts times recipes."""


Text = Annotated[str, AfterValidator(clean_text)]
Name = Annotated[str, AfterValidator(clean_name)]


class WantedPrompt(Frozen):
    """One `[[prompt]]`."""

    text: Text
    negative: Annotated[str, AfterValidator(lambda text: clean_text(text, "negative"))] | None = (
        None
    )
    name: Name | None = None


class Recipe(Frozen):
    """One `[[recipe]]`: a stored one's name, fields of an inference, or both."""

    name: Name | None = None
    fields: Mapping[str, Any] = Field(default={})


class Request(Frozen):
    """What a directory asks for; `settings` and `recipes` hold fields of an inference."""

    engine: str | None = None
    run: bool = True
    frames: int | None = Field(None, ge=1)
    prompt: Annotated[tuple[WantedPrompt, ...], Field(min_length=1, max_length=MOST_PROMPTS)]
    recipe: Annotated[tuple[Recipe, ...], Field(max_length=MOST_PROMPTS)] = ()
    settings: Mapping[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        runs = len(self.prompt) * max(1, len(self.recipe))
        if runs > MOST_RUNS:
            raise ValueError(f"asks for {runs:,} runs; {MOST_RUNS:,} are allowed")
        return self


def read_request(directory: Path) -> Request | None:
    """The request in a scene directory; None if there is none.

    Raises:
        InputError: the file cannot be used; names it and what is wrong.
    """
    file, text = directory / TOML, directory / TEXT
    if os.path.lexists(file):
        return _from_toml(file)
    if os.path.lexists(text):
        return Request.parse({"prompt": [{"text": read_text(text, MOST)}]}, what=str(text))
    return None


def read_request_of(directory: Path, source: Path | None) -> Request | None:
    """The request of a scene: its own, or that of the directory in which it is one of several.

    `source`: the directory that the scene is prepared from, if that is another. What lies outside
    of the project's inputs asks for nothing.

    Raises:
        InputError: the file cannot be used; names it and what is wrong.
    """
    own = read_request(directory)
    shared = source is not None and source != directory and directory.is_relative_to(source)
    return read_request(source) if own is None and shared and source else own


def _from_toml(file: Path) -> Request:
    values = read_toml(file, MOST)
    own = {*Request.model_fields} - {"settings"}
    fields = {name: value for name, value in values.items() if name not in own}
    fields = Transfer.named(fields, str(file))
    asked = {k: v for k, v in values.items() if k in own}
    if isinstance(recipes := asked.get("recipe"), list):
        asked["recipe"] = [_split(recipe, str(file)) for recipe in recipes]
    request = Request.parse({**asked, "settings": fields}, what=str(file))
    if request.engine is not None:
        engine_named(request.engine)
    for recipe in request.recipe or (Recipe(),):
        Transfer.parse({**fields, **recipe.fields}, what=str(file))
    return request


def _split(recipe: Any, what: str) -> Any:
    """A recipe's name and, apart from it, its fields."""
    if not isinstance(recipe, dict):
        return recipe
    fields = {name: value for name, value in recipe.items() if name != "name"}
    return {"name": recipe.get("name"), "fields": Transfer.named(fields, what)}


def register_request(
    catalog: Catalog,
    settings: Settings,
    directory: Path,
    request: Request,
    source: Path | None = None,
) -> tuple[list[Prompt], list[Run]]:
    """Register prompts, and queue the runs that there are not yet; all or none of the runs.

    `source`: the directory that holds the request, if that is not the scene's own.

    Raises:
        InputError: what the engine would refuse.
    """
    prompts = [
        register_prompt(
            catalog,
            settings,
            wanted.text,
            directory,
            negative_prompt=wanted.negative,
            name=wanted.name,
        )[0]
        for wanted in request.prompt
    ]
    if not request.run:
        return prompts, []
    wanted = request.recipe or (Recipe(),)
    recipes = [_stored(catalog, settings, request, recipe) for recipe in wanted]
    ids = [prompt.id for prompt in prompts]
    by_recipe = []
    for name, fields in recipes:
        names = [] if name is None else [name]
        cells = plan_each(catalog, settings, ids, names, (), fields, engine=request.engine)
        by_recipe.append(plans_of(cells))
    planned = [plan for of_a_prompt in zip(*by_recipe, strict=True) for plan in of_a_prompt]
    new = _not_there(catalog.runs_of_prompts("transfer", ids), planned)
    who = _who_dropped(directory) or (_who_dropped(source) if source else None)
    with ordering_as(who):
        return prompts, enter_all(catalog, settings, new, queued=True, request="scene")


def _who_dropped(directory: Path) -> str | None:
    """The owner of a scene's request, which somebody has dropped; None: it cannot be read."""
    for name in (TOML, TEXT):
        with suppress(OSError):
            return user_here((directory / name).stat().st_uid)
    return None


def _stored(
    catalog: Catalog, settings: Settings, request: Request, recipe: Recipe
) -> tuple[str | None, dict[str, Any]]:
    """A recipe's name and the fields that override it."""
    if recipe.name is None:
        return None, {**request.settings, **recipe.fields}
    if recipe.fields:
        engine = engine_for(settings, "transfer", request.engine).name
        catalog.put_recipe(recipe.name, engine, "transfer", dict(recipe.fields))
    return recipe.name, dict(request.settings)


def _not_there(runs: Iterable[Run], planned: Iterable[Planned]) -> list[Planned]:
    """The plans without those whose settings a run of the same prompt has already."""
    there: dict[tuple[str | None, str], list[Any]] = {}
    for run in runs:
        there.setdefault((run.prompt_id, run.engine), []).append(run.execution_config)
    return [
        plan
        for plan in planned
        if plan.job.operation.config()
        not in there.get((plan.row["prompt_id"], plan.engine.name), ())
    ]
