"""Depth pictures become one grey video: normalised over the whole clip, near is bright.

Renderers write distance: a larger value is farther. Cosmos-Transfer's depth control was trained on
Depth-Anything's output, normalised over the whole clip, in which near is bright.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import DepthHoles
from cosmos_pipelines.media.depth_range import DepthRange, Direction, range_of_counts
from cosmos_pipelines.media.encode import CONTROL, Array, coded
from cosmos_pipelines.media.in_order import in_order
from cosmos_pipelines.media.png import read_values


def range_of(
    files: Sequence[Path],
    values: Direction,
    step: Callable[[], None],
    hasher: Any = None,
    *,
    holes: DepthHoles | None = None,
) -> DepthRange:
    """The range of the values of a clip. One pass, streaming.

    Raises:
        MediaError: a frame is damaged or coloured, or nothing in the clip was measured.
    """
    total, transparent = np.zeros(1, np.int64), 0
    for counts, hidden in in_order(files, _count, hasher):
        total = total + counts
        transparent += hidden
        step()
    found = range_of_counts(total, transparent, values, holes)
    if found is None:
        raise MediaError(
            f"{files[0].parent}: no pixel of the depth pass has a distance: {_nothing(total)}.",
            hint="Render depth as distance, scaled so that the scene stays below the maximum.",
        )
    return found


def _count(data: bytes, path: Path) -> tuple[Array, int]:
    """How often each value occurs, and how many pixels are transparent."""
    pixels, seen = read_values(data, path)
    there = pixels if seen is None else pixels[seen]
    counts = np.bincount(there.ravel(), minlength=int(np.iinfo(pixels.dtype).max) + 1)
    return counts, pixels.size - there.size


def _nothing(counts: Array) -> str:
    there = [str(value) for value in np.flatnonzero(counts)]
    return f"every value is {' or '.join(there)}" if there else "all are transparent"


def grey_reader(
    found: DepthRange, width: int, height: int
) -> Callable[[bytes, Path], av.VideoFrame]:
    """A function that turns one depth PNG into a frame ready to encode, cropped to the size."""
    tables = {np.dtype(t): found.table(int(np.iinfo(t).max)) for t in (np.uint8, np.uint16)}

    def read(data: bytes, path: Path) -> av.VideoFrame:
        pixels, seen = read_values(data, path)
        grey = tables[pixels.dtype.newbyteorder("=")][pixels]
        if seen is not None:
            grey[~seen] = found.hole_level
        return coded(grey[:height, :width], CONTROL)

    return read
