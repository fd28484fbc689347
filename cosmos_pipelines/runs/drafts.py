"""What is being written: a prompt or a recipe before it is kept, with what would be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cosmos_pipelines import ids
from cosmos_pipelines.catalog.records import Recipe, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES, Engine
from cosmos_pipelines.errors import CosmosError, InputError
from cosmos_pipelines.operations import Job, Operation, Transfer
from cosmos_pipelines.operations.forms import fields_of, values_from
from cosmos_pipelines.operations.text import LONGEST, clean_name, clean_text, tidy
from cosmos_pipelines.runs.engine_choice import engine_for
from cosmos_pipelines.runs.scene_state import scene_videos
from cosmos_pipelines.settings import Settings

_PLAIN: Final = "A street."
"""A text that no engine refuses: what is refused with it too is not refused for its words."""


def draft_prompt(
    catalog: Catalog, settings: Settings, text: str, scene: str | None, negative_prompt: str
) -> dict[str, Any]:
    """What a text would be as a prompt; see `CosmosAPI.draft_prompt`."""
    from cosmos_pipelines.naming import smart_name

    problems = {
        "text": _refused(clean_text, text),
        "negative_prompt": _refused(clean_text, negative_prompt, "negative prompt")
        if negative_prompt.strip()
        else None,
        "scene": None if scene else "No scene was chosen.",
    }
    row = catalog.find_scene(scene) if scene else None
    if scene and row is None:
        problems["scene"] = f"There is no scene {scene!r} any more."
    found = {field: problem for field, problem in problems.items() if problem}
    clean, negative = tidy(text[: 10 * LONGEST]), tidy(negative_prompt[: 10 * LONGEST])
    same = None
    if row is not None and not found:
        same = catalog.find_prompts([ids.prompt_id(clean, negative or None, row.key, {})])
    return {
        "characters": len(clean),
        "negative_characters": len(negative),
        "most": LONGEST,
        "name": None if "text" in found else smart_name(clean, catalog.has_prompt_named),
        "problems": found,
        "same": next(iter(same)) if same else None,
        "engines": _engines(settings, clean, negative, row) if row and not found else [],
    }


def draft_recipe(
    catalog: Catalog, settings: Settings, name: str, engine: str | None, filled: Mapping[str, Any]
) -> dict[str, Any]:
    """What settings would be as a recipe; see `CosmosAPI.draft_recipe`."""
    values, problems = values_from(Transfer, filled)
    chosen, notes = None, list[str]()
    try:
        chosen = engine_for(settings, "transfer", engine)
    except InputError as e:
        problems["engine"] = str(e)
    if name.strip() and (problem := _refused(clean_name, name, "recipe's name")):
        problems["name"] = problem
    if chosen is not None and not problems:
        operation = Transfer.parse(values)
        notes = _of_fields(chosen, operation, problems)
        values = operation.model_dump(mode="json", exclude_unset=True)
    known = None
    if name.strip() and "name" not in problems:
        wanted = clean_name(name)
        known = next((one for one in catalog.list_recipes() if one.name == wanted), None)
    return {
        "name": known.name if known else " ".join(name.split()),
        "problems": problems,
        "notes": notes,
        "replaces": known is not None,
        "changes": _changes(known, chosen, values) if known and chosen and not problems else [],
        "values": values,
    }


def compare_recipes(recipes: Sequence[Recipe]) -> list[dict[str, Any]]:
    """The settings that are not the same in all recipes; see `CosmosAPI.compare_recipes`."""
    if not recipes:
        return []
    rows = [{"name": "engine", "label": "Engine", "values": [one.engine for one in recipes]}]
    for field in fields_of(Transfer):
        values = [one.config.get(field["name"], field["default"]) for one in recipes]
        rows.append({"name": field["name"], "label": field["label"], "values": values})
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def abilities(settings: Settings) -> list[dict[str, Any]]:
    """The engines that make videos; see `CosmosAPI.transfer_engines`."""
    default = settings.execution.engine_for("transfer")
    found = []
    for name in ENGINES:
        engine = settings.engine(name)
        if "transfer" not in engine.operations:
            continue
        found.append(
            {
                "name": name,
                "label": engine.label,
                "simulated": engine.simulated,
                "default": name == default,
                "refuses": dict(engine.refuses.get("transfer", {})),
                "ignores": sorted(engine.ignores.get("transfer", ())),
                "values": dict(engine.defaults.get("transfer", {})),
            }
        )
    return found


def _refused(check: Any, *given: Any) -> str | None:
    try:
        check(*given)
    except InputError as e:
        return str(e)
    return None


def _engines(settings: Settings, text: str, negative: str, scene: SceneRow) -> list[dict[str, Any]]:
    """The engines that would refuse this prompt with their own settings, and for what."""
    found = []
    for name in ENGINES:
        engine = settings.engine(name)
        if "transfer" not in engine.operations:
            continue
        if refusal := _refusal(settings, engine, text, negative, scene):
            plain = _refusal(settings, engine, _PLAIN, "", scene)
            concerns = "scene" if plain == refusal else "text"
            found.append(
                {"engine": name, "label": engine.label, "about": concerns, "says": refusal}
            )
    return found


def _refusal(
    settings: Settings, engine: Engine, text: str, negative: str, scene: SceneRow
) -> str | None:
    operation = Transfer()
    try:
        if "weights" in engine.uses.get("transfer", ()):
            operation = operation.for_scene(scene.facts.keys(), engine.computes)
        job = Job(
            run_id="",
            operation=engine.settled(operation),
            text=text,
            negative_prompt=negative or None,
            inputs=scene_videos(settings, scene),
        )
        engine.check(job)
    except CosmosError as e:
        return str(e)
    return None


def _of_fields(engine: Engine, operation: Operation, problems: dict[str, str]) -> list[str]:
    """Say which chosen fields the engine does not have, each with its reason, or does not use."""
    chosen = operation.chosen()
    for name, reason in engine.refuses.get("transfer", {}).items():
        if name in chosen:
            problems[name] = f"{engine.label} does not have it{reason and f': {reason}'}."
    unused = sorted(chosen & {*engine.ignores.get("transfer", ())})
    return [f"{engine.label} does not use: {', '.join(unused)}."] if unused else []


def _changes(known: Recipe, engine: Engine, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    before = {"engine": known.engine, **known.config}
    after = {"engine": engine.name, **values}
    labels = {field["name"]: field["label"] for field in fields_of(Transfer)} | {"engine": "Engine"}
    return [
        {"label": labels[name], "before": before.get(name), "after": after.get(name)}
        for name in labels
        if before.get(name) != after.get(name)
    ]
