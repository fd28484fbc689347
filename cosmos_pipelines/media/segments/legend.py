"""The legend of a clip: each segment's name, colour and share of the pixels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

from cosmos_pipelines.media.scene_file import MOST_SEGMENTS
from cosmos_pipelines.media.segments.colours import Colours

Naming = Callable[[int], tuple[str, str]]
"""The name of an id, and the id as people write it; empty: it has none."""

_MOST_BYTES: Final = 1 << 20
"""Of a legend in scene.json, which has 4 MiB at most."""
_LONGEST: Final = 500
"""Characters of a name in a legend."""


def number_naming(one: int) -> tuple[str, str]:
    """The name of an id that nobody has named: the number."""
    return str(one), str(one)


@dataclass
class _Segment:
    code: int
    pixels: int = 0
    frames: int = 0
    ids: set[str] = field(default_factory=set)


class Legend:
    """Counts the segments of pictures that may come in any order and more than once."""

    def __init__(self, colours: Colours) -> None:
        self._colours = colours
        self._segments: dict[str, _Segment] = {}
        self._seen: set[Path] = set()
        self._pixels = 0
        self._lock = Lock()

    def codes(self, path: Path, counts: Mapping[int, int], naming: Naming) -> dict[int, int]:
        """The colour (0xRRGGBB) of each id in a picture, which is counted the first time."""
        names = {one: naming(one) for one in counts}
        with self._lock:
            codes = {one: self._colours.code(names[one][0]) for one in counts}
            if path not in self._seen:
                self._seen.add(path)
                self._add(counts, names, codes)
            return codes

    def _add(
        self,
        counts: Mapping[int, int],
        names: Mapping[int, tuple[str, str]],
        codes: Mapping[int, int],
    ) -> None:
        here = set()
        for one, pixels in counts.items():
            name, written = names[one]
            segment = self._segments.setdefault(name, _Segment(codes[one]))
            segment.pixels += pixels
            segment.frames += name not in here
            if written and len(segment.ids) < 2:
                segment.ids.add(written)
            here.add(name)
        self._pixels += sum(counts.values())

    @property
    def names(self) -> set[str]:
        """The names of all segments that were seen."""
        return set(self._segments)

    def entries(self) -> list[dict[str, Any]]:
        """The segments for scene.json, the largest first; at most `MOST_SEGMENTS`.

        `area`: the share of all pixels of the clip. `id`: where a name has one alone.
        """
        ordered = sorted(self._segments.items(), key=lambda one: (-one[1].pixels, one[0]))
        entries, size = [], 0
        for name, segment in ordered[:MOST_SEGMENTS]:
            entry: dict[str, Any] = {
                "name": name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…",
                "color": f"#{segment.code:06x}",
                "area": segment.pixels / self._pixels,
                "frames": segment.frames,
            }
            if len(segment.ids) == 1:
                entry["id"] = next(iter(segment.ids))
            size += len(json.dumps(entry))
            if size > _MOST_BYTES:
                break
            entries.append(entry)
        return entries

    def left_out(self) -> int:
        """How many segments were seen that the entries do not list."""
        return len(self._segments) - len(self.entries())
