"""What a comparison shows: videos of runs and passes of scenes, and the settings that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from cosmos_pipelines.catalog.records import Prompt, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, InputError, MediaError, UnknownId
from cosmos_pipelines.operations import OPERATIONS
from cosmos_pipelines.runs.cards import cards_of, file_of
from cosmos_pipelines.runs.locations import scene_place
from cosmos_pipelines.settings import Settings

SCENE: Final = "scene:"
"""A scene's pass is named `scene:KEY/PASS`; a key may have slashes."""
MOST: Final = 9
"""Videos of one comparison."""
OFFERED: Final = 24
"""Runs that are offered to be added to a comparison."""


def videos_of(catalog: Catalog, settings: Settings, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return each named video as `CosmosAPI.comparison` does; one without a video says why."""
    return [_video(catalog, settings, name) for name in names]


def _video(catalog: Catalog, settings: Settings, name: str) -> dict[str, Any]:
    try:
        if name.startswith(SCENE):
            return _pass(settings, *find_pass(catalog, name.removeprefix(SCENE)))
        return _run(catalog, settings, catalog.get_run(name))
    except CosmosError as e:
        return _named(name, name) | {"trouble": str(e)}


def _named(name: str, title: str) -> dict[str, Any]:
    """A video of which nothing is known."""
    unknown = dict.fromkeys(("run", "url", "poster", "frames", "fps", "width", "height", "trouble"))
    return {"name": name, "title": title, **unknown, "settings": {}}


def _run(catalog: Catalog, settings: Settings, run: Run) -> dict[str, Any]:
    (card,) = cards_of(catalog, [run])
    prompt = catalog.find_prompts([run.prompt_id]).get(run.prompt_id) if run.prompt_id else None
    found = _named(run.id, _title(card))
    found |= {"run": run.id, "settings": _settings(run, prompt, card)}
    if file_of(settings, run, "thumbnail"):
        found["poster"] = f"/cosmos/still/run/{run.id}.jpg"
    if file_of(settings, run, "video") is None:
        return found | {"trouble": _no_video(run)}
    expected = run.outputs.get("expected") or {}
    facts = {field: expected.get(field) for field in ("frames", "fps", "width", "height")}
    return found | facts | {"url": f"/cosmos/video/{run.id}.mp4"}


def _no_video(run: Run) -> str:
    if run.outputs.get("video"):
        return f"The video of the run {run.id} is gone: its file was deleted or moved."
    if run.model_type == "enhance":
        return f"The run {run.id} made a prompt, not a video."
    if run.status in ("failed", "cancelled"):
        return f"The run {run.id} is {run.status} and has no video."
    return f"The run {run.id} is {run.status}: it has no video yet."


def _settings(run: Run, prompt: Prompt | None, card: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was made with: prompt, engine and every field of its operation."""
    operation = OPERATIONS[run.model_type]
    config = {k: _words(run.execution_config.get(k)) for k in operation.model_fields}
    negative = config.get("negative_prompt") or (prompt.negative_prompt if prompt else None)
    return {
        "prompt": prompt.text if prompt else None,
        "scene": prompt.scene if prompt else None,
        "operation": run.model_type,
        "engine": card["engine_label"],
        "recipe": run.recipe,
        **config,
        "negative_prompt": negative,
        "host": run.host,
        "parent_run": run.parent_run_id,
    }


def _words(value: object) -> str | None:
    """A setting as a person reads it."""
    if value is None or value in ([], ""):
        return None
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_words(v) or 'none'}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_words(one) or "none" for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def find_pass(catalog: Catalog, name: str) -> tuple[SceneRow, str]:
    """Return the scene and the pass that `KEY/PASS` names.

    Raises:
        UnknownId: there is no such scene, or it has no such pass.
    """
    key, _, control = name.rpartition("/")
    scene = catalog.get_scene(key)
    if control not in scene.facts:
        raise UnknownId("pass", control, scene.facts, see=f"{key} has {', '.join(scene.facts)}.")
    return scene, control


def _pass(settings: Settings, scene: SceneRow, control: str) -> dict[str, Any]:
    name = f"{scene.key}/{control}"
    found = _named(SCENE + name, f"{scene.key} · {control}")
    found["settings"] = {"scene": scene.key, "pass": control}
    if control == "color":
        found["poster"] = f"/cosmos/preview/scene/{quote(scene.key)}.webp"
    facts = scene.facts[control]
    if file_of_pass(settings, scene, control) is None:
        changed = "it is gone, or was rendered again since the scene was measured"
        return found | {"trouble": f"The pass {control} of {scene.key} cannot be shown: {changed}."}
    measured = {field: facts.get(field) for field in ("frames", "fps", "width", "height")}
    # The address changes with the content: browsers keep files.
    url = f"/cosmos/scene/{quote(name)}.mp4?as={str(facts.get('sha256'))[:12]}"
    return found | measured | {"url": url}


def file_of_pass(settings: Settings, scene: SceneRow, control: str) -> Path | None:
    """Return the file of a scene's pass if it is the file that was measured; else None.

    Nothing that was put in its place is shown. In a copy of the project it is another file of the
    same size and time; that one counts if it lies in the scene's directory, also through a link.
    """
    from cosmos_pipelines.media.probe import Stamp, stamp_of

    facts = scene.facts[control]
    name = str(facts.get("file", ""))
    if not name or Path(name).name != name:
        return None
    directory = scene_place(settings, scene)
    path = directory / name
    try:
        there = stamp_of(path)
        inside = path.resolve().is_relative_to(directory.resolve())
    except (MediaError, OSError):
        return None
    measured = {field: facts.get(field) for field in Stamp._fields}
    if inside:
        measured["inode"] = there.inode
    return path if there._asdict() == measured else None


def differing(videos: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings in which the videos differ: name, description, and a value for each.

    A value is None for a video that has no such setting, as a 4K video has no guidance.
    """
    described = {
        name: field.description or ""
        for operation in OPERATIONS.values()
        for name, field in operation.model_fields.items()
    }
    told = [video["settings"] for video in videos]
    names = list(dict.fromkeys(name for one in told for name in one))
    said = [{name: value or "not set" for name, value in one.items()} for one in told]
    rows = [{"name": name, "values": [one.get(name) for one in said]} for name in names]
    return [
        row | {"label": row["name"].replace("_", " "), "about": described.get(row["name"], "")}
        for row in rows
        if len({one[row["name"]] for one in told if row["name"] in one}) > 1
    ]


def offered(catalog: Catalog, videos: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return what may be added: passes of the scenes in it, related runs, then the newest ones."""
    there = {video["name"] for video in videos}
    runs = [catalog.find_run(video["run"]) for video in videos if video["run"]]
    prompts = list(dict.fromkeys(run.prompt_id for run in runs if run and run.prompt_id))
    found: dict[str, Run] = {}
    for prompt in [*prompts, None]:
        for run in catalog.list_runs(status="completed", prompt_id=prompt, limit=OFFERED):
            found.setdefault(run.id, run)
    usable = [r for r in found.values() if r.id not in there and r.outputs.get("video")][:OFFERED]
    return [
        *_passes_beside(catalog, videos, there),
        *({"name": card["id"], "title": _title(card)} for card in cards_of(catalog, usable)),
    ]


def _title(card: Mapping[str, Any]) -> str:
    return f"{card['title']} · 4K" if card["model_type"] == "upscale" else str(card["title"])


def _passes_beside(
    catalog: Catalog, videos: Sequence[Mapping[str, Any]], there: set[str]
) -> list[dict[str, str]]:
    keys = dict.fromkeys(video["settings"].get("scene") for video in videos)
    scenes = catalog.find_scenes(key for key in keys if key)
    return [
        {"name": f"{SCENE}{scene.key}/{control}", "title": f"{scene.key} · {control}"}
        for scene in scenes.values()
        for control in scene.facts
        if f"{SCENE}{scene.key}/{control}" not in there
    ]


def check_names(names: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the first nine different names, and what was left out in a sentence."""
    wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if any(len(name) > 2000 for name in wanted):
        raise InputError("A video's name in the address is too long.")
    if len(wanted) <= MOST:
        return wanted, None
    return wanted[:MOST], f"{len(wanted)} videos were asked for: the first {MOST} are shown."
