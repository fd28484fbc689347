"""Looking at all scene directories, cheaply: a look costs what has changed.

A directory's own time changes when a file in it is added, renamed or removed; such a directory, and
one that is not settled, is looked at every time. A file that is overwritten in place changes only
its own time: the other directories are looked at in turn, as many as fit in a share of the time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.foreign import absolute
from cosmos_pipelines.media.listing import PICTURES
from cosmos_pipelines.media.sequence import VIDEOS, recognise
from cosmos_pipelines.media.settling import SceneLook

IN_TURN_S: Final = 0.02
"""Time that one look may spend on directories that seem to be as they were."""
DEEP: Final = 16
"""Directories below directories, at most."""
_PICTURES: Final = tuple(PICTURES)
_FILES: Final = tuple(PICTURES | VIDEOS)

Times = tuple[tuple[str, int], ...]


def scene_directories(root: Path, known: Collection[Path] = ()) -> Iterator[Path]:
    """Directories below `root` that hold a scene: videos or pictures, or a directory a pass.

    Each is found once, under its own name rather than that of a link; links that lead back, or up,
    are not followed. Those in `known` are scenes without a look into them.
    """
    seen: set[tuple[int, int]] = set()
    links: list[Path] = []
    _enter(root, seen)
    yield from _below(root, {*known}, seen, links, 0)
    above = {_identity(place) for place in (root, *absolute(root).parents)}
    while links:
        link = links.pop(0)
        if _identity(link) in above or not _enter(link, seen):
            continue
        if _is_scene(link):
            yield link
        else:
            yield from _below(link, {*known}, seen, links, 1)


def _below(
    directory: Path, known: set[Path], seen: set[tuple[int, int]], links: list[Path], depth: int
) -> Iterator[Path]:
    try:
        with os.scandir(directory) as entries:
            inside = sorted((e for e in entries if _visible(e)), key=lambda e: e.name)
    except OSError:  # gone or not for us: the others go on
        return
    for entry in inside:
        child = directory / entry.name
        if entry.is_symlink():
            links.append(child)
        elif not _enter(child, seen):
            continue
        elif child in known or _is_scene(child):
            yield child
        elif depth < DEEP:
            yield from _below(child, known, seen, links, depth + 1)


def _visible(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _enter(path: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a directory is there and was not seen before."""
    identity = _identity(path)
    if identity is None or identity in seen:
        return False
    seen.add(identity)
    return True


def _is_scene(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.name.lower().endswith(_FILES) and entry.is_file():
                    return True
                if (
                    entry.is_dir()
                    and recognise(entry.name)[0] is not None
                    and _pictures(entry.path)
                ):
                    return True
    except OSError:
        return False
    return False


def _pictures(directory: str) -> bool:
    with os.scandir(directory) as entries:
        return any(entry.name.lower().endswith(_PICTURES) for entry in entries)


@dataclass
class _Remembered:
    times: Times
    look: SceneLook
    at: float


class Looks:
    """What this process saw of directories last; it may forget at any time."""

    def __init__(self) -> None:
        self._seen: dict[Path, _Remembered] = {}

    @property
    def known(self) -> Collection[Path]:
        """Directories that held a scene."""
        return self._seen.keys()

    def at(
        self,
        directories: Collection[Path],
        restless: Collection[Path],
        look: Callable[[Path], SceneLook],
        in_turn_s: float = IN_TURN_S,
    ) -> dict[Path, SceneLook]:
        """A look at each; of those that seem to be as they were, some are looked into again.

        `restless`: those that are looked into every time. One that cannot be looked at is left out,
        and so is one that holds no media any more.
        """
        for gone in self._seen.keys() - {*directories}:
            del self._seen[gone]
        resting = []
        for directory in directories:
            kept = self._seen.get(directory)
            if kept and directory not in restless and kept.times == _times(directory):
                resting.append((kept.at, directory))
            else:
                self._look(directory, look)
        end = time.monotonic() + in_turn_s
        for _, directory in sorted(resting):
            if time.monotonic() > end:
                break
            self._look(directory, look)
        return {d: self._seen[d].look for d in directories if d in self._seen}

    def _look(self, directory: Path, look: Callable[[Path], SceneLook]) -> None:
        times = _times(directory)  # before the look: what comes meanwhile is seen the next time
        try:
            found = look(directory)
        except (MediaError, OSError):
            self._seen.pop(directory, None)
            return
        if found.videos or found.pictures:
            self._seen[directory] = _Remembered(times, found, time.monotonic())
        else:
            self._seen.pop(directory, None)


def _times(directory: Path) -> Times:
    """The times of a directory and of those in it that a look goes into."""
    try:
        with os.scandir(directory) as entries:
            below = [e for e in entries if not e.name.startswith(".") and e.is_dir()]
        inside = sorted((e.name, e.stat().st_mtime_ns) for e in below)
        return (("", directory.stat().st_mtime_ns), *inside)
    except OSError:
        return ()
