"""Scenes and prompts enter the catalog here, checked before anything is written.

The command line, the Python API, the Dagster page's forms and the sensors all come through here.
No Dagster in this file.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from cosmos_pipelines.catalog.records import Prompt
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError, MediaError
from cosmos_pipelines.operations import Video
from cosmos_pipelines.runs.locations import scene_key
from cosmos_pipelines.runs.scenes import (
    current_scene,
    register_scene,
    scene_in,
    scene_preview,
    scene_videos,
)
from cosmos_pipelines.settings import Settings

__all__ = [
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

DepthValues = Literal["distance", "nearness"]
"""What a rendered depth pass says: how far a point is, or (as models do) how near."""

Progress = Callable[[str, int, int], None]
"""Called with the pass, the frames done and the frames in all."""


def scene_directory(settings: Settings, given: str | Path) -> Path:
    """The directory that a user means: absolute, below the inputs root, or from here.

    Raises:
        InputError: a relative path that leaves the inputs root and the current directory's tree.
        MediaError: there is no such directory.
    """
    path = Path(given).expanduser()
    if path.is_absolute():
        candidates = [path]
    else:
        roots = (settings.inputs, settings.home, Path.cwd())
        candidates = [root / path for root in roots]
    for candidate in candidates:
        if candidate.is_dir():
            _confine(settings, path, candidate)
            return _as_called(settings, candidate)
    raise MediaError(
        f"There is no scene directory {str(given)!r}.",
        hint=f"Scenes live in {settings.inputs}; `cosmos prepare DIR` makes one.",
    )


def _as_called(settings: Settings, directory: Path) -> Path:
    """Without links, but for one below the inputs root that leads elsewhere: its name counts."""
    real, called = directory.resolve(), Path(os.path.normpath(directory.absolute()))
    inside = called.is_relative_to(settings.inputs) and called != settings.inputs
    return called if inside and not real.is_relative_to(settings.inputs.resolve()) else real


def _confine(settings: Settings, given: Path, found: Path) -> None:
    if given.is_absolute() or found.resolve().is_relative_to(settings.inputs.resolve()):
        return
    raise InputError(
        f"The relative path {str(given)!r} is not below the inputs root {settings.inputs}.",
        hint="Give a scene elsewhere by its absolute path.",
    )


def prepare(
    catalog: Catalog,
    settings: Settings,
    directory: Path,
    name: str | None = None,
    *,
    fps: Fraction | int | None = None,
    description: str | None = None,
    depth_values: DepthValues = "distance",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Encode a rendered directory as a scene below the inputs root and register it.

    A directory that lies below the inputs root already is prepared in place.

    Raises:
        MediaError: one line that says what is wrong with it.
        InputError: a name that leaves the inputs root.
    """
    from cosmos_pipelines.media.prepare import prepare_scene

    source = directory.expanduser().resolve()
    root = settings.inputs.resolve()
    inside = source.is_relative_to(root) and source != root
    dest = source if inside and name is None else (root / (name or source.name)).resolve()
    if dest == root or not dest.is_relative_to(root):
        raise InputError(f"The scene name {name!r} leaves the inputs root {root}.")
    made = prepare_scene(
        source,
        dest,
        fps=Fraction(fps) if fps else None,
        name=name,
        description=description,
        depth_values=depth_values,
        progress=progress,
    )
    row = register_scene(catalog, settings, dest, source=source)
    return {**made, "key": row.key, "path": str(dest)}


def register_prompt(
    catalog: Catalog,
    settings: Settings,
    text: str,
    scene: str | Path,
    *,
    negative_prompt: str | None = None,
    name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Prompt, bool]:
    """Enter a prompt for a scene; the same content again gives the same prompt and False."""
    from cosmos_pipelines.naming import smart_name
    from cosmos_pipelines.operations.text import clean_text

    text = clean_text(text)
    row = scene_in(catalog, settings, scene_directory(settings, scene))
    return catalog.add_prompt(
        text,
        negative_prompt,
        row.key,
        name or smart_name(text, catalog.prompt_names()),
        dict(parameters or {}),
    )


def measured(path: Path) -> Video:
    """The facts of a video file, measured thoroughly (every packet is read once).

    What this process has measured is measured again only if the file has another stamp.

    Raises:
        MediaError: missing, unreadable, truncated or not a video.
    """
    from cosmos_pipelines.media.probe import stamp_of

    return _measured(path, stamp_of(path))


@functools.lru_cache(maxsize=256)
def _measured(path: Path, _stamp: tuple[int, ...]) -> Video:
    from cosmos_pipelines.media.files import hash_of
    from cosmos_pipelines.media.probe import probe

    p = probe(path, deep=True)
    return Video(
        path=str(path),
        sha256=hash_of(path),
        size=p.size,
        width=p.width,
        height=p.height,
        frames=p.frames,
        fps=str(p.fps),
    )
