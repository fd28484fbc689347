"""Scenes and prompts enter the catalog here, checked before anything is written.

The command line, the Python API, the Dagster page's forms and the sensors all come through here.
"""

from __future__ import annotations

import errno
import functools
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.catalog.records import Prompt
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError, MediaError, shown
from cosmos_pipelines.foreign import absolute, expanded
from cosmos_pipelines.media.asked import AS_USUAL, Asked
from cosmos_pipelines.media.progress import OnProgress
from cosmos_pipelines.operations import Video
from cosmos_pipelines.runs.locations import scene_key
from cosmos_pipelines.runs.scene_state import scene_preview, scene_videos
from cosmos_pipelines.runs.scenes import current_scene, register_scene, scene_in, usual_of
from cosmos_pipelines.settings import Settings

__all__ = [
    "check_scene_name",
    "current_scene",
    "measured",
    "prepare",
    "register_prompt",
    "register_scene",
    "scene_directory",
    "scene_key",
    "scene_preview",
    "scene_videos",
]

LONGEST_NAME: Final = 255
"""Bytes of a file's name, on most file systems."""
LONGEST_KEY: Final = 1000
"""Bytes of a scene's name with the directories in it; a path has 4,096."""


def scene_directory(settings: Settings, given: str | Path) -> Path:
    """The directory that a user means: absolute, below the inputs root, or from here.

    Raises:
        InputError: a relative path that leaves the inputs root and the current directory's tree.
        MediaError: there is no such directory.
    """
    path = expanded(given)
    roots = (settings.inputs, settings.home, Path.cwd())
    forms = [path, *(Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD"))]
    # an absolute path takes the place of each root
    for candidate in (root / form for form in forms for root in roots):
        if _is_directory(candidate):
            _confine(settings, path, candidate)
            return _as_called(settings, candidate)
    raise MediaError(
        f"There is no scene directory {shown(path)}.",
        hint=f"Scenes live in {settings.inputs}; `cosmos prepare DIR` makes one.",
    )


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as e:
        if e.errno != errno.ENAMETOOLONG:
            raise
        return False


def check_scene_name(name: str) -> None:
    """Refuse a name, perhaps of directories in each other (`town/street`), that no scene can have.

    Raises:
        InputError: says why.
    """
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise InputError(f"The scene name {shown(name)} leaves the inputs root, or is empty.")
        if part.startswith("."):
            raise InputError(f"The scene name {shown(name)} begins with a dot: it would be hidden.")
        if not part.isprintable() or not part.strip() or "," in part or "..." in part:
            raise InputError(
                f"The scene name {shown(name)} has a comma, '...' or a character that cannot be "
                "seen."
            )
        if len(os.fsencode(part)) > LONGEST_NAME or len(os.fsencode(name)) > LONGEST_KEY:
            raise InputError(
                f"The scene name {shown(name)} is too long: {LONGEST_NAME} bytes are allowed."
            )


def _as_called(settings: Settings, directory: Path) -> Path:
    """Without links, but for one below the inputs root that leads elsewhere: its name counts."""
    real, called = absolute(directory), Path(os.path.normpath(directory.absolute()))
    inside = called.is_relative_to(settings.inputs) and called != settings.inputs
    return called if inside and not real.is_relative_to(absolute(settings.inputs)) else real


def _confine(settings: Settings, given: Path, found: Path) -> None:
    if given.is_absolute() or absolute(found).is_relative_to(absolute(settings.inputs)):
        return
    raise InputError(
        f"The relative path {shown(given)} is not below the inputs root {settings.inputs}.",
        hint="Give a scene elsewhere by its absolute path.",
    )


def prepare(
    catalog: Catalog,
    settings: Settings,
    directory: Path,
    name: str | None = None,
    *,
    asked: Asked = AS_USUAL,
    description: str | None = None,
    progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Encode a rendered directory as a scene below the inputs root and register it.

    A directory that lies below the inputs root already is prepared in place. Of one with several
    scenes `asked` says which.

    Raises:
        MediaError: one line that says what is wrong with it.
        InputError: a name that leaves the inputs root.
    """
    from cosmos_pipelines.media.prepare import prepare_scene
    from cosmos_pipelines.runs.scene_places import only_place

    if name is not None:
        check_scene_name(name)
    place = only_place(settings, directory, name, asked)
    scene_key(settings, place.dest)  # before anything is encoded
    made = prepare_scene(
        place.source,
        place.dest,
        place.asked.with_usual(usual_of(settings)),
        name=None if place.found.name else name,
        description=description,
        progress=progress,
    )
    row = register_scene(catalog, settings, place.dest, source=place.source)
    made |= {"key": row.key, "path": str(place.dest)}
    if task := made.get("task"):
        prompt, _ = register_prompt(catalog, settings, task, place.dest)
        made["notes"] = [*made["notes"], f"its task is the prompt {prompt.name} ({prompt.id})"]
        made["prompt"] = prompt.id
    return made


def register_prompt(
    catalog: Catalog,
    settings: Settings,
    text: str,
    scene: str | Path,
    *,
    negative_prompt: str | None = None,
    name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    parent: str | None = None,
) -> tuple[Prompt, bool]:
    """Enter a prompt for a scene; the same content again gives the same prompt and False.

    `parent`: id of the prompt of which it is an edition.

    All words are checked before the scene, which may have to be encoded.

    Raises:
        InputError: a text or name is empty or too long, or a parameter is not JSON.
        MediaError: one line that says what is wrong with the scene.
    """
    from cosmos_pipelines.catalog.columns import json_of
    from cosmos_pipelines.operations.text import clean_name, clean_text

    text = clean_text(text)
    name = None if name is None else clean_name(name)
    if negative_prompt and negative_prompt.strip():
        negative_prompt = clean_text(negative_prompt, "negative prompt")
    parameters = json_of(parameters or {})
    directory = scene_directory(settings, scene)
    _refuse_several(catalog, settings, directory)
    row = scene_in(catalog, settings, directory)
    return catalog.add_prompt(
        text,
        negative_prompt,
        row.key,
        name,
        parameters,
        parent_prompt_id=parent,
    )


def _refuse_several(catalog: Catalog, settings: Settings, directory: Path) -> None:
    """Raises InputError for a directory that is no scene itself, but holds scenes."""
    if not directory.is_relative_to(settings.inputs):
        return
    key = directory.relative_to(settings.inputs).as_posix()
    if catalog.find_scene(key) is not None:
        return
    below = [row.key for row in catalog.scenes_after(f"{key}/", 3)]
    below = [one for one in below if one.startswith(f"{key}/")]
    if below:
        raise InputError(
            f"{shown(key)} is no scene, but holds scenes.", hint=f"Name one: {', '.join(below)}."
        )


def measured(path: Path) -> Video:
    """The facts of a video file, measured thoroughly (every packet is read once).

    What this process has measured is measured again only if the file has another stamp.

    Raises:
        MediaError: missing, unreadable, truncated, not a video, or one that players show turned,
            stretched or otherwise changed.
    """
    from cosmos_pipelines.media.probe import stamp_of

    return _measured(path, stamp_of(path))


@functools.lru_cache(maxsize=256)
def _measured(path: Path, _stamp: tuple[int, ...]) -> Video:
    from cosmos_pipelines.media.files import hash_of
    from cosmos_pipelines.media.plain import plain_video

    p = plain_video(path)
    return Video(
        path=str(path),
        sha256=hash_of(path),
        size=p.size,
        width=p.width,
        height=p.height,
        frames=p.frames,
        fps=str(p.fps),
    )
