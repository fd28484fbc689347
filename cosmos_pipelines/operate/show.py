"""Show a prompt, run, scene or recipe by id or name; or how a video file was made."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import UnknownId
from cosmos_pipelines.ids import is_prompt_id


def show(catalog: Catalog, thing: str | Path) -> dict[str, Any]:
    """Return a prompt, run, scene or recipe by id or name; or how a video file was made.

    Raises:
        UnknownId: no prompt, run, scene, recipe or file has this name.
        MediaError: the file is not a readable video.
    """
    text = str(thing)
    if _names_file(text):
        return _show_file(Path(thing))
    if text.startswith(("rs_", "latest")):
        return {"type": "run"} | catalog.get_run(text).as_dict()
    if is_prompt_id(text) or text.startswith("ps_"):
        return {"type": "prompt"} | catalog.get_prompt(text).as_dict()
    for kind, rows in (("scene", catalog.list_scenes()), ("recipe", catalog.list_recipes())):
        for row in rows:
            if text == (row.as_dict().get("key") or row.as_dict().get("name")):
                return {"type": kind} | row.as_dict()
    try:
        return {"type": "prompt"} | catalog.get_prompt(text).as_dict()
    except UnknownId:
        names = _all_names(catalog)
        see = "See `cosmos list prompts`, `runs`, `scenes` or `recipes`."
        raise UnknownId("prompt, run, scene, recipe or file", text, names, see=see) from None


def _names_file(text: str) -> bool:
    """Whether there is something called so that is no directory."""
    try:
        return not stat.S_ISDIR(Path(text).stat().st_mode)
    except (OSError, ValueError):
        return False


def _all_names(catalog: Catalog) -> list[str]:
    scenes = [row.key for row in catalog.list_scenes()]
    return [*catalog.prompt_ids(), *catalog.prompt_names(), *scenes]


def _show_file(path: Path) -> dict[str, Any]:
    from cosmos_pipelines.media import provenance
    from cosmos_pipelines.media.probe import probe

    p = probe(path)
    facts = {"width": p.width, "height": p.height, "frames": p.frames, "fps": str(p.fps)}
    return {"type": "file", "path": str(path), **facts, "made": provenance.read(path)}
