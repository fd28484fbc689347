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

A `prompt.txt` is one prompt with the default settings. No Dagster in this file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import Transfer
from cosmos_pipelines.operations.base import Frozen
from cosmos_pipelines.runs.engine_choice import engine_for
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import Planned, enter, plan_transfer
from cosmos_pipelines.settings import Settings

TOML: Final = "scene.toml"
TEXT: Final = "prompt.txt"


class WantedPrompt(Frozen):
    """One `[[prompt]]`."""

    text: str
    negative: str | None = None
    name: str | None = None


class Request(Frozen):
    """What a directory asks for; `settings` and `recipes` hold fields of an inference."""

    engine: str | None = None
    run: bool = True
    frames: int | None = Field(None, ge=1)
    prompt: tuple[WantedPrompt, ...]
    recipe: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Any] = Field(default={})


def read_request(directory: Path) -> Request | None:
    """The request in a scene directory; None if there is none.

    Raises:
        InputError: the file cannot be used; names it and what is wrong.
    """
    file = directory / TOML
    if file.is_file():
        return _from_toml(file)
    text = directory / TEXT
    if text.is_file():
        try:
            return Request(prompt=(WantedPrompt(text=text.read_text(encoding="utf-8").strip()),))
        except UnicodeDecodeError:
            raise InputError(f"{text} is no UTF-8 text.") from None
    return None


def declared_frames(directory: Path) -> int | None:
    """How many frames a scene directory says that it will have; None: it says nothing.

    Raises:
        InputError: its request cannot be used.
    """
    request = read_request(directory)
    return None if request is None else request.frames


def _from_toml(file: Path) -> Request:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise InputError(f"{file} is not valid TOML: {e}.") from None
    own = {*Request.model_fields} - {"settings"}
    fields = {name: value for name, value in values.items() if name not in own}
    request = Request.parse(
        {**{k: v for k, v in values.items() if k in own}, "settings": fields}, what=str(file)
    )
    if request.engine is not None:
        engine_named(request.engine)
    for recipe in request.recipe or ({},):
        Transfer.parse({**fields, **_fields(recipe)}, what=str(file))
    return request


def register_request(
    catalog: Catalog, settings: Settings, directory: Path, request: Request
) -> tuple[list[Prompt], list[Run]]:
    """Register prompts, and queue the runs that there are not yet; all or none of the runs.

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
    recipes = [_stored(catalog, settings, request, recipe) for recipe in request.recipe or ({},)]
    planned = [
        plan_transfer(catalog, settings, prompt.id, fields, recipe=name, engine=request.engine)
        for prompt in prompts
        for name, fields in recipes
    ]
    new = [plan for plan in planned if not _exists(catalog, plan)]
    return prompts, [enter(catalog, settings, plan, queued=True) for plan in new]


def _stored(
    catalog: Catalog, settings: Settings, request: Request, recipe: Mapping[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    """A recipe's name and the fields that override it."""
    fields, name = _fields(recipe), recipe.get("name")
    if name is None:
        return None, {**request.settings, **fields}
    if fields:
        engine = engine_for(settings, "transfer", request.engine).name
        catalog.put_recipe(str(name), engine, "transfer", fields)
    return str(name), dict(request.settings)


def _fields(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recipe.items() if name != "name"}


def _exists(catalog: Catalog, plan: Planned) -> bool:
    """Whether a run of the same prompt with the same settings has been registered before."""
    config = plan.job.operation.config()
    prompt_id = plan.row["prompt_id"]
    runs = catalog.list_runs(prompt_id=prompt_id, model_type="transfer", limit=None)
    return any(r.execution_config == config and r.engine == plan.engine.name for r in runs)
