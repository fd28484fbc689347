"""Looking at all scene directories, cheaply: a look costs what has changed.

A directory's own time changes when a file in it is added, renamed or removed. Directories that are
not settled are looked into every time; of the others, as many as fit in a share of the time are
asked in turn for their own time, and as many are looked into: a file that is overwritten in place
changes only its own time.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.layouts.tree import DEEP
from cosmos_pipelines.media.settling import SceneLook
from cosmos_pipelines.sensors.scene_tree import Tree, walk

IN_TURN_S: Final = 0.008
"""Time that one look may spend on asking directories for their time, and again on looking in."""
LONGEST_S: Final = 10.0
"""Time that one look may spend on directories that are new or changed; the rest comes next."""
WALK_S: Final = 300.0
"""So often all directories are walked through: a link whose target came back tells of nothing."""

Times = tuple[tuple[Path, int], ...]
Into = Callable[[Path], SceneLook]


@dataclass
class Found:
    """What a look has found."""

    scenes: Collection[Path] | None = None
    """All directories that hold a scene, or may not be read; None: the same as before."""
    looks: dict[Path, SceneLook] = field(default_factory=dict)
    """Of those that were looked into."""
    first: set[Path] = field(default_factory=set)
    """Those that this process has not looked into before."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Directories that could not be looked into, with the reason."""
    empty: list[Path] = field(default_factory=list)
    """Those that hold no scene any more."""


class Looks:
    """What this process saw of directories last; it may forget at any time."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._tree = Tree()
        self._walked = 0.0
        self._times: dict[Path, Times] = {}
        """Of the directories that were looked into."""
        self._new: dict[Path, None] = {}
        """Those that were not looked into yet, in their order."""
        self._to_ask: deque[Path] = deque()
        self._to_enter: deque[Path] = deque()
        self._inside: dict[Path, None] = {}
        """Those that were prepared in place, in a scene that a walk ends at."""

    def at(
        self,
        root: Path,
        restless: Iterable[Path],
        into: Into,
        in_turn_s: float = IN_TURN_S,
        longest_s: float = LONGEST_S,
    ) -> Found:
        """Look at the scene directories below `root`.

        `restless`: those that are looked into every time. `into`: looks into one.
        """
        found = Found()
        if root != self._root or self._walk_is_due():
            self._walk(root)
            found.scenes = {*self._tree.scenes, *self._tree.unreadable}
            found.failed |= self._tree.unreadable
        end = time.monotonic() + longest_s
        known = dict.fromkeys(d for d in restless if d in self._times)
        for directory in [*known, *self._new]:
            self._enter(directory, into, found)
            if time.monotonic() > end:
                break
        for directory in _in_turn(self._to_ask, in_turn_s):
            if directory not in found.looks and self._has_changed(directory):
                self._enter(directory, into, found)
        for directory in _in_turn(self._to_enter, in_turn_s):
            if directory not in found.looks and directory in self._times:
                self._enter(directory, into, found)
        return found

    def _walk_is_due(self) -> bool:
        return time.monotonic() - self._walked > WALK_S or self._tree.changed()

    def _walk(self, root: Path) -> None:
        if root != self._root:
            self._times, self._new, self._root = {}, {}, root
        self._tree = walk(root, self._times.keys())
        self._walked = time.monotonic()
        there = {*self._tree.scenes}
        kept = [p for p in self._inside if p.is_dir() and not there.isdisjoint(p.parents)]
        self._inside = dict.fromkeys(kept)
        there |= self._inside.keys()
        for gone in self._times.keys() - there:
            del self._times[gone]
        self._new = {d: None for d in [*self._tree.scenes, *kept] if d not in self._times}
        for turn in (self._to_ask, self._to_enter):
            known = [d for d in turn if d in there]
            turn.clear()
            turn.extend(dict.fromkeys([*known, *self._tree.scenes, *self._inside]))

    def _has_changed(self, directory: Path) -> bool:
        """Whether its own time, or that of a directory in it, is another than before."""
        before = self._times.get(directory)
        if before is None:  # not looked into yet
            return False
        try:
            return any(path.stat().st_mtime_ns != at for path, at in before)
        except OSError:
            return True

    def _enter(self, directory: Path, into: Into, found: Found) -> None:
        self._new.pop(directory, None)
        times = _times(directory)  # before the look: what comes meanwhile is seen the next time
        try:
            look = into(directory)
        except (MediaError, OSError) as e:
            if not os.path.lexists(directory):
                self._left(directory, found)
                return
            found.failed[directory] = str(e)
        else:
            if not (look.videos or look.pictures):
                self._left(directory, found)
                return
            found.looks[directory] = look
            if directory not in self._times:
                found.first.add(directory)
            for name in look.inside:
                self._add(directory / name)
        self._times[directory] = times

    def _add(self, inside: Path) -> None:
        """A scene that no walk comes to, as it lies in another one."""
        if inside not in self._times and inside not in self._new:
            self._new[inside] = self._inside[inside] = None
            self._to_ask.append(inside)
            self._to_enter.append(inside)

    def _left(self, directory: Path, found: Found) -> None:
        """It is no scene any more; the next walk says what it is."""
        found.empty.append(directory)
        self._times.pop(directory, None)
        self._walked = -WALK_S


def _in_turn(turn: deque[Path], seconds: float) -> Iterator[Path]:
    """One after the other, each once at most; the next time it goes on with the one after."""
    end = time.monotonic() + seconds
    for _ in range(len(turn)):
        if time.monotonic() > end:
            return
        directory = turn.popleft()
        turn.append(directory)
        yield directory


def _times(directory: Path) -> Times:
    """The times of a directory and of those in it that a look goes into."""
    try:
        inside = sorted((path, path.stat().st_mtime_ns) for path in _below(directory, DEEP))
        return ((directory, directory.stat().st_mtime_ns), *inside)
    except OSError:
        return ()


def _below(directory: Path, deep: int) -> Iterator[Path]:
    with os.scandir(directory) as entries:
        below = [e.name for e in entries if not e.name.startswith(".") and e.is_dir()]
    for name in below:
        yield directory / name
        if deep > 1:
            yield from _below(directory / name, deep - 1)
