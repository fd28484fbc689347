"""Where things of a project lie, as the catalog keeps it and as this machine finds it.

What is below the project's home is kept relative to it, so that the project can be moved and
copied: a copy has its own files. Only scenes and videos elsewhere are kept with their whole path.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.errors import InputError, shown
from cosmos_pipelines.foreign import absolute, is_utf8
from cosmos_pipelines.settings import Settings


def scene_key(settings: Settings, directory: Path) -> str:
    """The key of the scene in `directory`: its path below the inputs root.

    A directory elsewhere is `<name>@<8 hex digits of its path's hash>`; a link below the inputs
    root to a directory elsewhere has its own path.

    Raises:
        InputError: a name that cannot be a key (control characters, commas, `...`, no UTF-8).
    """
    real, root = absolute(directory), absolute(settings.inputs)
    if real.is_relative_to(root) and real != root:
        key = real.relative_to(root).as_posix()
    elif directory.is_relative_to(settings.inputs) and directory != settings.inputs:
        key = directory.relative_to(settings.inputs).as_posix()
    else:
        digest = hashlib.sha256(os.fsencode(as_stored(settings, real))).hexdigest()[:8]
        key = f"{real.name}@{digest}"
    if not is_utf8(real):
        raise InputError(
            f"The name of the scene directory {shown(directory)} is no UTF-8.",
            hint="Rename it; `convmv` does so for many.",
        )
    if not key.isprintable() or "," in key or "..." in key:
        raise InputError(
            f"The scene directory {shown(key)} has a comma, '...' or a character that cannot be "
            "seen in its name.",
            hint="Rename it.",
        )
    return key


def as_stored(settings: Settings, path: Path) -> str:
    """`path` (absolute) as the catalog keeps it."""
    root = absolute(settings.inputs)
    if path.is_relative_to(root):  # also where the inputs root is a link to another disk
        path = settings.inputs / path.relative_to(root)
    home = settings.home
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)


def located(settings: Settings, stored: str) -> Path:
    """The absolute path of what the catalog keeps as `stored`."""
    return settings.home / stored


def scene_place(settings: Settings, scene: SceneRow) -> Path:
    """The directory of a scene.

    Of one below the inputs root, which an earlier version entered with its whole path, it is that
    of this project: the project may have been moved or copied since.
    """
    inside = settings.inputs / scene.key
    if Path(scene.path).is_absolute() and inside.is_dir():
        return inside
    return located(settings, scene.path)


def is_there(settings: Settings, scene: SceneRow) -> bool:
    """Whether the directory of a scene exists, where this process may look."""
    try:
        return scene_place(settings, scene).is_dir()
    except OSError:  # a directory above it is not for us
        return False


def rendered_in(settings: Settings, scene: SceneRow | None) -> Path | None:
    """The directory that a scene was prepared from, if that is another than its own."""
    if scene is None or scene.rendered_in is None:
        return None
    return located(settings, scene.rendered_in)
