"""A walk over a directory of renders, several levels deep: what may be part of a scene."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import saying_why_not_read
from cosmos_pipelines.media.readers.picture import ARRAYS, PICTURES
from cosmos_pipelines.media.scene_file import SCENE_FILE

DEEP: Final = 6
"""Directories below directories, at most."""
MOST_FILES: Final = 200_000
VIDEOS: Final = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm"})
MEDIA: Final = VIDEOS | PICTURES | ARRAYS | {".png"}
_ENDS: Final = tuple(MEDIA)


@dataclass
class Folder:
    """One directory of the walk. `parts`: below the one where it began."""

    path: Path
    parts: tuple[str, ...]
    media: list[os.DirEntry[str]] = field(default_factory=list)
    labels: list[os.DirEntry[str]] = field(default_factory=list)
    others: list[os.DirEntry[str]] = field(default_factory=list)
    """Files called as one of `also`."""


def folders_in(
    directory: Path,
    *,
    skip: Collection[Path] = (),
    also: Collection[str] = (),
    prepared: list[Path] | None = None,
) -> Iterator[Folder]:
    """The directory, then those below it in the order of their names, each once.

    Hidden ones are not there, nor are those with a scene.json of their own: each is a scene, and no
    part of this one. They are added to `prepared`.

    Raises:
        MediaError: one is missing or may not be read, or there are more files than MOST_FILES.
    """
    seen: set[tuple[int, int]] = set()
    count = 0
    waiting: list[tuple[Path, tuple[str, ...]]] = [(directory, ())]
    while waiting:
        path, parts = waiting.pop()
        with saying_why_not_read(path):
            folder, below = _entries(path, parts, skip, also, seen)
        if folder is None:
            if prepared is not None:
                prepared.append(path)
            continue
        count += len(folder.media)
        if count > MOST_FILES:
            raise MediaError(
                f"{directory} holds more than {MOST_FILES:,} pictures and videos.",
                hint="Prepare the directories in it one by one.",
            )
        yield folder
        if len(parts) < DEEP:
            waiting += [(path / name, (*parts, name)) for name in sorted(below, reverse=True)]


def _entries(
    path: Path,
    parts: tuple[str, ...],
    skip: Collection[Path],
    also: Collection[str],
    seen: set[tuple[int, int]],
) -> tuple[Folder | None, list[str]]:
    folder, below = Folder(path, parts), list[str]()
    stat = path.stat()
    if (stat.st_dev, stat.st_ino) in seen:  # a link that leads back
        return folder, below
    seen.add((stat.st_dev, stat.st_ino))
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name == SCENE_FILE and parts:
                return None, []
            if entry.name.startswith(".") or (skip and path / entry.name in skip):
                continue
            name = entry.name.lower()
            try:
                if name.endswith(_ENDS) and _is_no_directory(entry):
                    folder.media.append(entry)
                elif entry.name in also:
                    folder.others.append(entry)
                elif entry.is_dir():
                    below.append(entry.name)
                elif name.endswith(".json") and name != SCENE_FILE:
                    folder.labels.append(entry)
            except OSError:  # renamed or removed in this very moment: the next look is another
                continue
    return folder, below


def _is_no_directory(entry: os.DirEntry[str]) -> bool:
    """A broken link and a pipe count as files: whoever reads them says so, and none is lost."""
    try:
        return not entry.is_dir()
    except OSError:  # a link to itself
        return True
