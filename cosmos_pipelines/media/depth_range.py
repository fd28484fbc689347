"""Which depth values become which grey: the range of a whole clip, its holes and outliers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Literal

import numpy as np

from cosmos_pipelines.media.pixels import Array

DepthValues = Literal["distance", "nearness"]
"""What a larger value means in the source: farther (renderers) or nearer (disparity maps)."""

DepthHoles = Literal["far", "near", "none"]
"""What a value of 0 is: nothing measured, shown as the farthest or nearest point; or a value."""


MOST_CUT: Final = 0.001
"""Share of the pixels that may be cut off at each end of the range, if they are outliers."""
_FEW: Final = 100
"""Of fewer pixels each one counts."""

_GAIN: Final = 0.1
"""Outliers are cut off only if they take more than this share of the rest's range."""


@dataclass(frozen=True)
class DepthRange:
    """What the values of a whole clip become: `low` to `high` is the range from white to black.

    `background` is the type's largest value, standing for nothing hit, if it occurs beside others.
    Neither it nor `holes` (zeros) nor transparent pixels stretch the range. Shares are of all
    pixels; `lowest` and `highest` are what was measured, beyond the range where outliers were cut.
    """

    low: int
    high: int
    values: DepthValues
    background: int | None = None
    background_share: float = 0.0
    holes_share: float = 0.0
    holes_near: bool = False
    transparent_share: float = 0.0
    lowest: int = 0
    highest: int = 0
    cut_share: float = 0.0

    def table(self, largest: int) -> Array:
        """For each source value 0..largest the grey level 0..255, near = 255; background 0."""
        value = np.arange(largest + 1, dtype=np.float64)
        part = np.clip((value - self.low) / max(1, self.high - self.low), 0, 1)
        level = 1 - part if self.values == "distance" else part
        grey = np.rint(level * 255).astype(np.uint8)
        if self.background is not None:
            grey[self.background :] = 0
        if self.holes_share:
            grey[0] = self.hole_level
        return grey

    @property
    def hole_level(self) -> int:
        """The grey of what was not measured."""
        return 255 if self.holes_near else 0

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
            "holes_share": round(self.holes_share, 6),
            "transparent_share": round(self.transparent_share, 6),
            "holes_are": "near" if self.holes_near else "far",
            "lowest_value": self.lowest,
            "highest_value": self.highest,
            "cut_off_share": round(self.cut_share, 9),
        }


def range_of_counts(
    counts: Array,
    transparent: int,
    values: DepthValues,
    holes: DepthHoles | None = None,
) -> DepthRange | None:
    """The range of a clip in which value v occurs `counts[v]` times in pixels that are there.

    Without `holes` zeros are holes, and far, if a gap parts them from all other values. None if
    nothing was measured.
    """
    measured = counts.astype(np.int64)
    total = int(measured.sum()) + transparent
    background = int(measured[-1]) if values == "distance" else 0
    if background:
        measured[-1] = 0
    zeros = int(measured[0])
    if zeros and holes != "none" and (holes or _stand_apart(measured)):
        measured[0] = 0
    else:
        zeros = 0
    there = np.flatnonzero(measured)
    if there.size == 0:
        return None
    lowest, highest = int(there[0]), int(there[-1])
    low, high = _without_outliers(there, measured[there])
    cut = int(measured[:low].sum() + measured[high + 1 :].sum())
    return DepthRange(
        low=low,
        high=high,
        values=values,
        background=len(counts) - 1 if background else None,
        background_share=background / total,
        holes_share=zeros / total,
        holes_near=holes == "near",
        transparent_share=transparent / total,
        lowest=lowest,
        highest=highest,
        cut_share=cut / total,
    )


def _stand_apart(counts: Array) -> bool:
    """Whether a gap parts the zeros from all values above, so that 0 is no distance.

    The gap is compared with the distances between the next values up. Of many zeros a smaller gap
    is enough.
    """
    next_up = np.flatnonzero(counts[1:])[:33] + 1
    if next_up.size == 0:
        return False
    usual_gap = float(np.median(np.diff(next_up))) if next_up.size > 1 else 0.0
    many = counts[0] >= 16 * np.median(counts[next_up])
    return bool(next_up[0] > usual_gap * (2 if many else 8))


def _without_outliers(values: Array, counts: Array) -> tuple[int, int]:
    """The smallest and the largest of sorted `values`, without outliers."""
    pixels = int(counts.sum())
    allowed = ceil(pixels * MOST_CUT) if pixels >= _FEW else 0
    below = values[np.cumsum(counts) <= allowed]
    above = values[np.cumsum(counts[::-1])[::-1] <= allowed]
    core = values[below.size : values.size - above.size]
    most = _GAIN * float(core[-1] - core[0])
    return (
        -_last_before_a_gap(-core[0], -below[::-1], most),
        _last_before_a_gap(core[-1], above, most),
    )


def _last_before_a_gap(core: int, beyond: Array, most: float) -> int:
    """Where the range ends that would end at `core` without the values `beyond` it, rising.

    If they take more than `most`, it ends before the first gap of that width, else at `core`.
    """
    if beyond.size == 0 or beyond[-1] - core <= most:
        return int(beyond[-1] if beyond.size else core)
    rising = np.concatenate([[core], beyond])
    gaps = np.flatnonzero(np.diff(rising) > most)
    return int(rising[gaps[0]] if gaps.size else core)
