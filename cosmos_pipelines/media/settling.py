"""Whether a directory of renders is still being written, as far as its files tell.

Everything is judged by the files themselves: how long they have been as they are, against the pace
in which they came. Nobody is asked, so that any renderer, copy or download will do.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from os import stat_result
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.layouts.by_names import scenes_by_names
from cosmos_pipelines.media.listing import PICTURES, listing, stamp_of_listing
from cosmos_pipelines.media.scene_file import SCENE_FILE, products, read_scene_file
from cosmos_pipelines.media.sequence import VIDEOS

MARKER: Final = "scene.ready"
"""A renderer that writes this last need not be waited for."""
FACTOR: Final = 3
"""Of the longest time that one frame took: so long nothing may come."""
MOST_S: Final = 3600
"""More than this is never waited for; a sequence may have been interrupted overnight."""
STILL_S: Final = 1.0
"""So long a video with a whole index must stay as it is."""
OLD_S: Final = 600
"""Times of a file system are believed when they are at least this old: its clock may be another."""

_BOXES: Final = frozenset({".mp4", ".m4v", ".mov"})


@dataclass(frozen=True)
class SceneLook:
    """One look at a directory's files; nothing was read. Times in seconds since 1970."""

    stamp: str
    """By which what is there is known again; without what was made of the rest."""
    written_s: float = 0
    """When the newest of the files was written."""
    changed_s: float = 0
    """When anything about them last changed: also that a file came with an older time."""
    gap_s: float = 0
    """The longest time between two files of one sequence, written one after the other."""
    marker_s: float | None = None
    """When the marker was written."""
    videos: tuple[str, ...] = ()
    pictures: int = 0
    bytes: int = 0
    scenes: Mapping[str, SceneLook] = field(default_factory=dict)
    """Each of several scenes in the directory, or of one that has a name there, by names alone."""
    inside: tuple[str, ...] = ()
    """Directories in it that were prepared in place: their files are no part of this look."""

    @property
    def marked(self) -> bool:
        """Whether the marker was written last; one that is older is of an older render."""
        return self.marker_s is not None and self.marker_s >= self.written_s


def look_at(
    directory: Path,
    *,
    since_s: float = 0,
    since_of: Callable[[str], float] = lambda _: 0,
    also: tuple[str, ...] = (),
) -> SceneLook:
    """Look at a directory of renders.

    `since_s`: files that are not newer were there before, and tell nothing of the pace of what is
    being written now; `since_of`: the same of each of several scenes. `also`: other files whose
    change counts.

    Raises:
        MediaError: it is gone or may not be read.
    """
    prepared: list[Path] = []
    found = listing(directory, also=(MARKER, SCENE_FILE, *also), prepared=prepared)
    inside = tuple(p.relative_to(directory).as_posix() for p in prepared if _in_place(p))
    marker = found.pop(MARKER, None)
    sources = _without_products(directory, found)
    others = {name: s for name, s in sources.items() if Path(name).name in also}
    look = replace(_look(sources, others, marker, since_s), inside=inside)
    scenes = scenes_by_names(sources)
    if set(scenes) <= {""} or (len(scenes) == 1 and _is_prepared(directory)):
        return look
    each = {
        scene: _look(
            {name: s for name, s in sources.items() if name in files or name in others},
            others,
            marker,
            since_of(scene),
        )
        for scene, files in scenes.items()
    }
    return replace(look, scenes=each)


def _look(
    sources: dict[str, stat_result],
    others: dict[str, stat_result],
    marker: stat_result | None,
    since_s: float,
) -> SceneLook:
    media = {n: s for n, s in sources.items() if n not in others and not n.endswith(".json")}
    videos = tuple(n for n in media if Path(n).suffix.lower() in VIDEOS)
    stamp = stamp_of_listing(sources | ({MARKER: marker} if marker else {}))
    if not media:
        return SceneLook(stamp)
    return SceneLook(
        stamp=stamp,
        written_s=max(s.st_mtime for s in media.values()),
        changed_s=max(max(s.st_mtime, s.st_ctime) for s in media.values()),
        gap_s=_gap_s(media, since_s),
        marker_s=marker.st_mtime if marker else None,
        videos=videos,
        pictures=len(media) - len(videos),
        bytes=sum(s.st_size for s in media.values()),
    )


def wait_s(look: SceneLook, settle_s: float, known_gap_s: float = 0) -> float:
    """Seconds for which nothing may change until a directory counts as settled.

    `known_gap_s`: the longest time between two frames of an earlier render of it.
    """
    return min(max(settle_s, FACTOR * max(look.gap_s, known_gap_s)), max(settle_s, MOST_S))


def quiet(look: SceneLook, unchanged_s: float, now_s: float, needed_s: float) -> bool:
    """Whether nothing has changed for `needed_s`: since we looked, or long before."""
    return max(unchanged_s, now_s - look.changed_s - OLD_S) >= needed_s


def all_whole(directory: Path, look: SceneLook) -> bool:
    """Whether there are videos alone, each with a whole index and all that it speaks of."""
    return bool(look.videos) and not look.pictures and all(
        has_whole_index(directory / name) for name in look.videos
    )  # fmt: skip


def has_whole_index(path: Path) -> bool:
    """Whether a video is one of whose end its own index tells, and that end is there.

    Files of other kinds, and those that grow piece by piece (fragments, `moof`), are not: nobody
    can tell from them whether more will come. ISO/IEC 14496-12, 4.2.
    """
    if path.suffix.lower() not in _BOXES:
        return False
    try:
        with path.open("rb") as file:
            size, at, seen = path.stat().st_size, 0, set[bytes]()
            while at + 8 <= size:
                file.seek(at)
                length, kind = struct.unpack(">I4s", file.read(8))
                if length == 1:
                    length = int.from_bytes(file.read(8), "big")
                if length < 8:  # 0: it reaches to the end, wherever that will be
                    return False
                seen.add(kind)
                at += length
    except (OSError, struct.error):
        return False
    return at == size and b"moov" in seen and b"mdat" in seen and b"moof" not in seen


def _without_products(directory: Path, found: dict[str, stat_result]) -> dict[str, stat_result]:
    """Files that were not made of others that are there.

    In a prepared scene that was brought here without what it was made of, all count.
    """
    record = found.pop(SCENE_FILE, None)
    if record is None:
        return found
    try:
        known: Mapping[str, Any] = read_scene_file(directory)
        made = {path.name for path in products(directory, known)}
    except MediaError:
        return found
    rest = {name: s for name, s in found.items() if name not in made}
    media = PICTURES | VIDEOS
    return rest if any(Path(name).suffix.lower() in media for name in rest) else found


def _is_prepared(directory: Path) -> bool:
    """Whether a directory was prepared in place, as one scene, wherever in it the files lie."""
    try:
        return any(path.exists() for path in products(directory, read_scene_file(directory)))
    except MediaError:
        return False


def _in_place(directory: Path) -> bool:
    """Whether a prepared scene was made of files of its own directory."""
    try:
        stat = (directory / SCENE_FILE).stat()
    except OSError:  # it is being removed
        return False
    return _made_of_itself(directory, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=10_000)
def _made_of_itself(directory: Path, _at: int, _size: int) -> bool:
    """As `_in_place`, read once for each state of scene.json."""
    try:
        return read_scene_file(directory).get("source") == "."
    except MediaError:
        return False


def _gap_s(media: Mapping[str, stat_result], since_s: float) -> float:
    """The longest time between two files of one sequence: of those called alike but for numbers."""
    sequences: dict[str, list[float]] = defaultdict(list)
    for name, stat in media.items():
        if stat.st_mtime > since_s:
            sequences[re.sub(r"\d+", "#", name)].append(stat.st_mtime)
    gaps = (b - a for times in sequences.values() for a, b in pairwise(sorted(times)))
    return max(gaps, default=0.0)
