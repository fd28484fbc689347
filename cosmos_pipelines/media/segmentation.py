"""Segmentation pictures: exact colours, ids made into colours, and the error that remains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.decode import Array, pictures_of
from cosmos_pipelines.media.png import read_grey
from cosmos_pipelines.media.segments.colours import Colours, number_code
from cosmos_pipelines.media.segments.legend import Legend, number_naming

MOST_IDS = 4096
ID_MAP = "PASCAL VOC colour map of the id's bits"
MANY_COLOURS = 1024
"""From here on, colours of one picture are no flat segments."""


def id_colours(count: int = 65536) -> Array:
    """The colour of each id 0..count-1, as (count, 3) uint8: all different, 0 is black.

    The colour map of the PASCAL VOC development kit: an id's bits are dealt out to red, green and
    blue from the top bit down, so that neighbouring ids look far apart. It depends on the id alone:
    the same id has the same colour in every clip.
    """
    left = np.arange(count, dtype=np.uint32)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(7, -1, -1):
        for channel in range(3):
            colours[:, channel] |= (((left >> channel) & 1) << bit).astype(np.uint8)
        left >>= 3
    return colours


class Ids:
    """Reads id pictures as colours and remembers which ids there were."""

    def __init__(self) -> None:
        self._colours = id_colours()
        self._seen = np.zeros(65536, bool)
        self._legend = Legend(Colours(number_code))

    def read(self, data: bytes, path: Path) -> Array:
        """One PNG of ids as (height, width, 3) uint8. Safe in threads: marks are only ever set.

        Raises:
            MediaError: damaged, coloured, or so many values that they cannot be ids.
        """
        ids = read_grey(data, path)
        counts = np.bincount(ids.ravel(), minlength=65536)
        there = np.flatnonzero(counts)
        # setting only: `|=` on the whole array would lose marks between threads
        self._seen[there] = True
        if (count := int(self._seen.sum())) > MOST_IDS:
            raise MediaError(
                f"{path}: {count} different values so far are no segment ids.",
                hint="Render flat ids or flat colours, without antialiasing.",
            )
        pixels = dict(zip(there.tolist(), counts[there].tolist(), strict=True))
        self._legend.codes(path, pixels, number_naming)
        return self._colours[ids]

    def facts(self) -> dict[str, Any]:
        """For scene.json: the colour of each id that occurs, and how much it fills."""
        seen = np.flatnonzero(self._seen)
        return {
            "id_colours": {str(i): "#" + bytes(self._colours[i]).hex() for i in seen.tolist()},
            "id_map": ID_MAP,
            "legend": self._legend.entries(),
        }


@dataclass(frozen=True)
class ColourError:
    """How far decoded colours are from the source's, in steps of 8-bit RGB."""

    largest: int
    mean: float

    def facts(self) -> dict[str, Any]:
        """For scene.json."""
        return {"max_error": self.largest, "mean_error": round(self.mean, 6)}


def colour_error(video: Path, wanted: Iterable[Array]) -> ColourError:
    """Decode `video` and compare every pixel of every frame with `wanted`, frame by frame."""
    largest, total, count = 0, 0, 0
    for got, want in zip(pictures_of(video), wanted, strict=True):
        count += want.size
        if not np.array_equal(got, want):
            off = np.abs(got.astype(np.int16) - want)
            largest, total = max(largest, int(off.max())), total + int(off.sum(dtype=np.int64))
    return ColourError(largest, total / max(1, count))


def flat_colours(picture: Array) -> int:
    """Number of different colours in a (height, width, 3) uint8 picture."""
    code = picture.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    return int(np.unique(code).size)


def many_colours(label: str, colours: int) -> str:
    """The note for a pass whose first picture has more than `MANY_COLOURS`."""
    return f"{label}: {colours} colours in the first frame; segments look antialiased or shaded"
