"""Which directories below the inputs root hold a scene, and where to look whether others came."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cosmos_pipelines.foreign import absolute, what_it_is
from cosmos_pipelines.media.layouts.stems import words_of
from cosmos_pipelines.media.layouts.tree import DEEP as DEEP_PASS
from cosmos_pipelines.media.lerobot.dataset import PARTS, is_data_set
from cosmos_pipelines.media.listing import PICTURES
from cosmos_pipelines.media.sequence import VIDEOS, recognise

DEEP: Final = 16
"""Directories below directories, at most."""
GRANULE_NS: Final = 2_000_000_000
"""The coarsest clock of a file system: two changes within it may have one time."""
_PICTURES: Final = tuple(PICTURES)
_FILES: Final = tuple(PICTURES | VIDEOS)

_A_DATA_SET: Final = (
    "It is a LeRobot data set: `cosmos prepare DIR --plan` shows its episodes, "
    "`cosmos prepare DIR --scene NAME` makes one a scene."
)

Stamp = tuple[int, int] | None
"""When a directory was changed: its entries, its permissions. None: it is not there."""


@dataclass
class Tree:
    """What a walk has found."""

    scenes: list[Path] = field(default_factory=list)
    others: dict[Path, Stamp] = field(default_factory=dict)
    """Directories that hold no scene themselves: where scenes are added, renamed and removed."""
    unreadable: dict[Path, str] = field(default_factory=dict)
    """Directories that may not be read, or hold what looks like a scene only, with the reason."""

    def changed(self) -> bool:
        """Whether scenes may have been added, renamed or removed since the walk."""
        return any(stamp_of(path) != stamp for path, stamp in self.others.items())


def stamp_of(directory: Path) -> Stamp:
    """When a directory was changed last."""
    try:
        stat = directory.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns


def walk(root: Path, known: Collection[Path] = ()) -> Tree:
    """Find the directories below `root` that hold a scene: videos or pictures, or such a pass.

    Each is found once, under its own name rather than that of a link; links that lead back, or up,
    are not followed. Those in `known` are scenes without a look into them.
    """
    tree, seen, links = Tree(), set[tuple[int, int]](), list[Path]()
    known = {*known}
    _enter(root, seen)
    _below(root, tree, known, seen, links, 0)
    above = {_identity(place) for place in (root, *absolute(root).parents)}
    while links:
        link = links.pop(0)
        if _identity(link) in above or not _enter(link, seen):
            continue
        if _is_scene(link):
            tree.scenes.append(link)
        else:
            _below(link, tree, known, seen, links, 1)
    return tree


def _below(
    directory: Path,
    tree: Tree,
    known: set[Path],
    seen: set[tuple[int, int]],
    links: list[Path],
    depth: int,
) -> None:
    tree.others[directory] = _settled(stamp_of(directory))
    try:
        with os.scandir(directory) as entries:
            listed = sorted(entries, key=lambda e: e.name)
    except FileNotFoundError:  # gone meanwhile
        return
    except OSError as e:
        tree.unreadable[directory] = f"It cannot be read: {e.strerror}."
        return
    if odd := next(filter(None, map(_no_file, listed)), None):
        tree.unreadable[directory] = odd
    if is_data_set(directory):
        listed = [entry for entry in listed if entry.name not in PARTS]
        tree.unreadable[directory] = _A_DATA_SET
    for entry in filter(_visible, listed):
        child = directory / entry.name
        if entry.is_symlink():
            links.append(child)
        elif not _enter(child, seen):
            continue
        elif child in known or _is_scene(child):
            tree.scenes.append(child)
        elif depth < DEEP:
            _below(child, tree, known, seen, links, depth + 1)


def _no_file(entry: os.DirEntry[str]) -> str | None:
    """Why something that is called as a picture or video is none; None of all else."""
    if entry.name.startswith(".") or not entry.name.lower().endswith(_FILES):
        return None
    try:
        what = what_it_is(entry.stat().st_mode)
    except OSError as e:
        return f"{entry.name} cannot be read: {e.strerror}."
    return f"{entry.name} is {what}, not a file." if what and not entry.is_dir() else None


def _settled(stamp: Stamp) -> Stamp:
    """The stamp, if a later change will have another; else one that no directory has."""
    if stamp is not None and abs(time.time_ns() - max(stamp)) < GRANULE_NS:
        return (-1, -1)
    return stamp


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
    except OSError:  # `_below` says why
        return False
    return _has_deep_passes(directory)


def _pictures(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(entry.name.lower().endswith(_PICTURES) for entry in entries)
    except OSError:  # `_below` says why
        return False


def _has_deep_passes(directory: Path) -> bool:
    """Whether directories of passes (`beauty`, `depth`) hold pictures further down, as versions."""
    try:
        with os.scandir(directory) as entries:
            names = [e.name for e in entries if not e.name.startswith(".") and e.is_dir()]
        passes = [name for name in names if (w := words_of(name)).name and not w.rest]
        clear = any(words_of(name).clear for name in passes)
        return clear and any(_media_below(directory / name, DEEP_PASS) for name in passes)
    except OSError:  # `_below` says why
        return False


def _media_below(directory: Path, deep: int) -> bool:
    with os.scandir(directory) as entries:
        listed = [e for e in entries if not e.name.startswith(".")]
    if any(e.name.lower().endswith(_FILES) and e.is_file() for e in listed):
        return True
    below = (e.path for e in listed if deep and e.is_dir(follow_symlinks=False))
    return any(_media_below(Path(path), deep - 1) for path in below)
