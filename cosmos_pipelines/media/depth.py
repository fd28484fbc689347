"""Depth pictures become one grey video: normalised over the whole clip, near is bright.

Renderers write distance: a larger value is farther. Cosmos-Transfer's depth control was trained on
Depth-Anything's output, normalised over the whole clip, in which near is bright.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.encode import CONTROL, Array, coded
from cosmos_pipelines.media.in_order import in_order
from cosmos_pipelines.media.png import read_grey

DepthValues = Literal["distance", "nearness"]
"""What a larger value means in the source: farther (renderers) or nearer (disparity maps)."""


@dataclass(frozen=True)
class DepthRange:
    """The values of a whole clip. `background` is the type's largest value, standing for nothing
    hit, if it occurs beside others; it does not stretch the range."""

    low: int
    high: int
    background: int | None
    background_share: float
    values: DepthValues

    def table(self, largest: int) -> Array:
        """For each source value 0..largest the grey level 0..255, near = 255; background 0."""
        value = np.arange(largest + 1, dtype=np.float64)
        part = np.clip((value - self.low) / max(1, self.high - self.low), 0, 1)
        level = 1 - part if self.values == "distance" else part
        grey = np.rint(level * 255).astype(np.uint8)
        if self.background is not None:
            grey[self.background :] = 0
        return grey

    def facts(self) -> dict[str, Any]:
        """For scene.json: how grey levels come from source values."""
        near, far = (self.low, self.high) if self.values == "distance" else (self.high, self.low)
        return {
            "near": "bright",
            "mapping": "linear over the whole clip, 8 bits",
            "source_values": self.values,
            "value_of_white": near,
            "value_of_black": far,
            "background_value": self.background,
            "background_share": round(self.background_share, 6),
        }


def range_of(
    files: Sequence[Path], values: DepthValues, step: Callable[[], None], hasher: Any = None
) -> DepthRange:
    """Smallest and largest value over the clip, without the background. One pass, streaming.

    Raises:
        MediaError: a frame is damaged or coloured, or there is nothing but background.
    """
    low, high, behind, count, largest = 1 << 16, -1, 0, 0, 0
    for a, b, far, size, largest in in_order(files, lambda d, p: _extent(d, p, values), hasher):  # noqa: B007
        low, high, behind, count = min(low, a), max(high, b), behind + far, count + size
        step()
    if high < 0:
        raise MediaError(
            f"{files[0].parent}: every depth value is {largest}, which stands for background.",
            hint="Render depth as distance, scaled so that the scene stays below the maximum.",
        )
    return DepthRange(low, high, largest if behind else None, behind / count, values)


def _extent(data: bytes, path: Path, values: DepthValues) -> tuple[int, int, int, int, int]:
    """(smallest, largest, pixels of background, pixels, the type's largest value)."""
    pixels = read_grey(data, path)
    largest = int(np.iinfo(pixels.dtype).max)
    inside = pixels[pixels < largest] if values == "distance" else pixels
    if inside.size == 0:
        return 1 << 16, -1, pixels.size, pixels.size, largest
    behind = pixels.size - inside.size
    return int(inside.min()), int(inside.max()), behind, pixels.size, largest


def grey_reader(
    found: DepthRange, width: int, height: int
) -> Callable[[bytes, Path], av.VideoFrame]:
    """A function that turns one depth PNG into a frame ready to encode, cropped to the size."""
    tables = {np.dtype(t): found.table(int(np.iinfo(t).max)) for t in (np.uint8, np.uint16)}

    def read(data: bytes, path: Path) -> av.VideoFrame:
        pixels = read_grey(data, path)[:height, :width]
        return coded(tables[pixels.dtype.newbyteorder("=")][pixels], CONTROL)

    return read
