"""Show a prompt, run, scene or recipe by id or name; or how a video file was made."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import UnknownId
from cosmos_pipelines.ids import is_prompt_id
from cosmos_pipelines.operate.costs import costs_of
from cosmos_pipelines.runs.scene_facts import legend_of, told_of
from cosmos_pipelines.runs.scene_state import scene_record
from cosmos_pipelines.settings import Settings


def show(catalog: Catalog, settings: Settings, thing: str | Path) -> dict[str, Any]:
    """Return a prompt, run, scene or recipe by id or name; or how a video file was made.

    Raises:
        UnknownId: no prompt, run, scene, recipe or file has this name.
        MediaError: the file is not a readable video.
    """
    text = str(thing)
    if _names_file(text):
        return _show_file(Path(thing))
    if text.startswith(("rs_", "latest")):
        run = catalog.get_run(text)
        return {"type": "run"} | run.as_dict() | {"costs": costs_of(catalog, settings, run)}
    if is_prompt_id(text) or text.startswith("ps_"):
        return {"type": "prompt"} | catalog.get_prompt(text).as_dict()
    if (scene := catalog.find_scene(_as_key(settings, text))) is not None:
        return {"type": "scene"} | scene_record(settings, scene) | _told(settings, scene)
    for recipe in catalog.list_recipes():
        if text == recipe.name:
            return {"type": "recipe"} | recipe.as_dict()
    try:
        return {"type": "prompt"} | catalog.get_prompt(text).as_dict()
    except UnknownId:
        names = [*catalog.near_prompts(text), *catalog.near_scenes(text)]
        see = "See `cosmos list prompts`, `runs`, `scenes` or `recipes`."
        raise UnknownId("prompt, run, scene, recipe or file", text, names, see=see) from None


def _told(settings: Settings, scene: SceneRow) -> dict[str, Any]:
    """The segments of a scene, and what its preparation noted: of all of it, and of each pass."""
    told = told_of(settings, scene)
    notes = {"scene": told["notes"]} | {one["name"]: one["notes"] for one in told["passes"]}
    return {
        "legend": legend_of(told["passes"]),
        "notes": {name: said for name, said in notes.items() if said},
        "ignored": told["ignored"],
    }


def _as_key(settings: Settings, text: str) -> str:
    """The key of a scene whose directory is named, as a shell completes it."""
    try:
        path = Path(text).absolute()
        inside = path.is_dir() and path.is_relative_to(settings.inputs)
    except (OSError, ValueError):
        return text
    return path.relative_to(settings.inputs).as_posix() if inside else text


def _names_file(text: str) -> bool:
    """Whether there is something called so that is no directory."""
    try:
        return not stat.S_ISDIR(Path(text).stat().st_mode)
    except (OSError, ValueError):
        return False


def _show_file(path: Path) -> dict[str, Any]:
    from cosmos_pipelines.media import provenance
    from cosmos_pipelines.media.probe import probe

    p = probe(path)
    facts = {"width": p.width, "height": p.height, "frames": p.frames, "fps": str(p.fps)}
    return {"type": "file", "path": str(path), **facts, "made": provenance.read(path)}
