"""The command and the Python lines that make a run's result again, derived from its settings."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import OPERATIONS, Operation
from cosmos_pipelines.runs.locations import located
from cosmos_pipelines.settings import Settings

_METHODS: Final = {
    "transfer": ("inference", "quick_inference"),
    "enhance": ("prompt-enhance", "enhance_prompt"),
    "upscale": ("upscale", "upscale_run"),
}
"""The command and the method of `CosmosAPI` of each operation."""


def remade(catalog: Catalog, settings: Settings, run: Run) -> dict[str, str]:
    """Return `again` (the short command), `command` (with all settings) and `python` (the same).

    Each setting that is not the operation's default is said, also those of the recipe; the recipe
    itself if it is still so. The words are quoted for a POSIX shell.
    """
    command, method = _METHODS[run.model_type]
    given = _given(OPERATIONS[run.model_type], run.execution_config)
    where = {"engine": run.engine}
    if run.backend != settings.execution.backend:
        where["backend"] = run.backend
    if run.recipe and _is_still_so(catalog, run):
        where["recipe"] = run.recipe
    words = ["cosmos", command, *_subject(settings, run)]
    for name, value in where.items():
        words += [f"--{name}", value]
    words += list(_options(OPERATIONS[run.model_type], given))
    return {
        "again": shlex.join(["cosmos", "run", "--again", run.id]),
        "command": shlex.join(words),
        "python": _python(method, _subject(settings, run), {**where, **given}),
    }


def _subject(settings: Settings, run: Run) -> list[str]:
    """What the operation is done with: a prompt, a run, or a video file."""
    if run.model_type != "upscale":
        return [str(run.prompt_id)]
    if run.source.get("video"):
        return ["--video", str(located(settings, run.source["video"]))]
    return [str(run.parent_run_id)]


def _is_still_so(catalog: Catalog, run: Run) -> bool:
    """Whether a run's recipe still says nothing else than the run's settings."""
    recipe = next((one for one in catalog.list_recipes() if one.name == run.recipe), None)
    if recipe is None or recipe.model_type != run.model_type:
        return False
    operation = OPERATIONS[run.model_type]
    try:
        parsed = operation.parse(recipe.config).config()
    except InputError:  # of another version
        return False
    said = operation.named(recipe.config)
    return all(run.execution_config.get(name) == parsed[name] for name in said)


def _given(operation: type[Operation], config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not the operation's own defaults."""
    defaults = operation().config()
    return {
        name: config[name]
        for name in operation.model_fields
        if name in config and config[name] != defaults[name]
    }


def _options(operation: type[Operation], given: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        option = _option(operation, name)
        if isinstance(value, bool):
            yield option if value else f"--no-{option.removeprefix('--')}"
        elif isinstance(value, Mapping):
            yield option
            yield from (str(part) for part in value.values())
        elif isinstance(value, list):
            yield f"{option}={json.dumps(value, ensure_ascii=False)}"
        else:  # a text may begin with a dash
            yield f"{option}={value}"


def _option(operation: type[Operation], name: str) -> str:
    extra = operation.model_fields[name].json_schema_extra
    said: Any = extra.get("cli") if isinstance(extra, dict) else None
    return str(said[0]) if said else "--" + name.replace("_", "-")


def _python(method: str, subject: list[str], arguments: Mapping[str, Any]) -> str:
    first = f"video={subject[1]!r}" if subject[0] == "--video" else repr(subject[0])
    lines = [first, *(f"{name}={value!r}" for name, value in arguments.items())]
    inside = "".join(f"        {line},\n" for line in lines)
    return (
        "from cosmos_pipelines.api import CosmosAPI\n\n"
        f"with CosmosAPI() as cosmos:\n    run = cosmos.{method}(\n{inside}    )\n"
    )
