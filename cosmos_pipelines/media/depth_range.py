"""Which depth values become which grey: the range of a whole clip, its holes and outliers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, Literal

import numpy as np

from cosmos_pipelines.media.asked import DepthHoles
from cosmos_pipelines.media.depths.spread import Spread
from cosmos_pipelines.media.pixels import Array

Direction = Literal["distance", "nearness"]
"""Whether a larger value is farther or nearer."""

BESIDES: Final = ("kind", "unit", "projection", "fov_degrees", "negated", "overflow")
"""Facts of a pass whose values are more than whole numbers; None where they say nothing."""

MOST_CUT: Final = 0.001
"""Share of the pixels that may be cut off at each end of the range, if they are outliers."""
_FEW: Final = 100
"""Of fewer pixels each one counts."""

_GAIN: Final = 0.1
"""Outliers are cut off only if they take more than this share of the rest's range."""


_BESIDE: Final = 0.25
"""How much a histogram shows on each side of the range, as a share of it."""


@dataclass(frozen=True)
class DepthRange:
    """What the values of a whole clip become: `low` to `high` is the range from white to black.

    `nothing`: what stands for nothing hit, in words, each with its share of the pixels;
    `background`: the value that means so in the files, if it is one number. Neither they nor
    `holes` (zeros) nor transparent pixels stretch the range. Shares are of all pixels; `lowest` and
    `highest` are what was measured, beyond the range where outliers were cut or a range was given
    (`fixed`). `histogram`: counts of what was measured in equal bars over `histogram_ends`; the
    outer two hold what lies beyond as well.
    """

    low: float
    high: float
    values: Direction
    background: float | None = None
    nothing: Mapping[str, float] = field(default_factory=dict)
    holes_share: float = 0.0
    holes_near: bool = False
    transparent_share: float = 0.0
    lowest: float = 0
    highest: float = 0
    cut_share: float = 0.0
    fixed: bool = False
    histogram: tuple[int, ...] = ()
    histogram_ends: tuple[float, float] = (0, 0)

    @property
    def background_share(self) -> float:
        """The share of the pixels that hit nothing."""
        return sum(self.nothing.values())

    def table(self, largest: int) -> Array:
        """For each source value 0..largest the grey level 0..255, near = 255; background 0."""
        value = np.arange(largest + 1, dtype=np.float64)
        part = np.clip((value - self.low) / max(1, self.high - self.low), 0, 1)
        level = 1 - part if self.values == "distance" else part
        grey = np.rint(level * 255).astype(np.uint8)
        if self.background is not None:
            grey[int(self.background) :] = 0
        if self.holes_share:
            grey[0] = self.hole_level
        return grey

    def grey(self, values: Array) -> Array:
        """The grey levels 0..255 of float32 values, near = 255; of NaN (nothing hit) 0."""
        black, white = (self.high, self.low) if self.values == "distance" else (self.low, self.high)
        if white == black:
            level = np.where(np.isnan(values), np.float32(0), np.float32(255))
        else:
            level = (values - np.float32(black)) * np.float32(255 / (white - black))
            np.nan_to_num(level, copy=False, nan=0)
            np.clip(level, 0, 255, out=level)
        grey: Array = np.rint(level, out=level).astype(np.uint8)
        if self.holes_share:
            grey[values == 0] = self.hole_level
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
            "range_is": "given" if self.fixed else "measured",
            "background_value": self.background,
            "background_share": round(self.background_share, 6),
            "nothing_hit": {words: round(share, 6) for words, share in self.nothing.items()},
            "holes_share": round(self.holes_share, 6),
            "transparent_share": round(self.transparent_share, 6),
            "holes_are": "near" if self.holes_near else "far",
            "lowest_value": self.lowest,
            "highest_value": self.highest,
            "cut_off_share": round(self.cut_share, 9),
            "histogram": list(self.histogram),
            "histogram_ends": list(self.histogram_ends),
            **dict.fromkeys(BESIDES),
        }


def range_of_counts(
    counts: Array,
    transparent: int,
    values: Direction,
    holes: DepthHoles | None = None,
) -> DepthRange | None:
    """The range of a clip in which value v occurs `counts[v]` times in pixels that are there.

    The largest distance of the type means that nothing was hit. None if nothing was measured.
    """
    largest = len(counts) - 1
    background = int(counts[largest]) if values == "distance" else 0
    nothing = {str(largest): background} if background else {}
    measured = counts if not background else np.append(counts[:largest], 0)
    spread = Spread.of_counts(measured)
    return range_of_spread(
        spread,
        values,
        holes,
        transparent=transparent,
        nothing=nothing,
        background=largest if background else None,
    )


def range_of_spread(
    spread: Spread,
    values: Direction,
    holes: DepthHoles | None = None,
    *,
    transparent: int = 0,
    nothing: Mapping[str, int] | None = None,
    background: float | None = None,
    near: float | None = None,
    far: float | None = None,
) -> DepthRange | None:
    """The range of a clip whose measured values are spread so. None if there are none.

    Without `holes` zeros are holes, and far, if a gap parts them from all other values. `nothing`:
    pixels that hit nothing, and are not in `spread`, by what they say. `near` and `far`: the values
    that shall become white and black.
    """
    nothing = nothing or {}
    total = spread.pixels + transparent + sum(nothing.values())
    zero = (spread.lows == 0) & (spread.highs == 0)
    zeros = int(spread.counts[zero].sum())
    if zeros and holes != "none" and (holes or _stand_apart(zeros, spread.where(~zero))):
        spread = spread.where(~zero)
    else:
        zeros = 0
    if not spread.pixels:
        return None
    low, high = without_outliers(spread)
    ends = (near, far) if values == "distance" else (far, near)
    low = low if ends[0] is None else ends[0]
    high = high if ends[1] is None else ends[1]
    shown = _shown(spread, low, high)
    return DepthRange(
        low=low,
        high=high,
        values=values,
        background=background,
        nothing={words: count / total for words, count in nothing.items()},
        holes_share=zeros / total,
        holes_near=holes == "near",
        transparent_share=transparent / total,
        lowest=spread.lows[0].item(),
        highest=spread.highs[-1].item(),
        cut_share=spread.outside(low, high) / total,
        fixed=(near, far) != (None, None),
        histogram=spread.histogram(*shown),
        histogram_ends=shown,
    )


def _shown(spread: Spread, low: float, high: float) -> tuple[float, float]:
    """What a histogram goes over: what was measured, but not far beyond the range."""
    beside = _BESIDE * (high - low)
    return (
        max(spread.lows[0].item(), low - beside),
        min(spread.highs[-1].item(), high + beside),
    )


def _stand_apart(zeros: int, others: Spread) -> bool:
    """Whether a gap parts the zeros from all values above, so that 0 is no distance.

    The gap is compared with the distances between the next values up. Of many zeros a smaller gap
    is enough.
    """
    above = others.where(others.lows > 0)
    next_up, counts = above.lows[:33], above.counts[:33]
    if next_up.size == 0:
        return False
    usual_gap = float(np.median(np.diff(next_up))) if next_up.size > 1 else 0.0
    many = zeros >= 16 * np.median(counts)
    return bool(next_up[0] > usual_gap * (2 if many else 8))


def without_outliers(spread: Spread) -> tuple[float, float]:
    """The smallest and the largest value without outliers."""
    counts, pixels = spread.counts, spread.pixels
    allowed = ceil(pixels * MOST_CUT) if pixels >= _FEW else 0
    below = int((np.cumsum(counts) <= allowed).sum())
    above = len(counts) - int((np.cumsum(counts[::-1]) <= allowed).sum())
    core = spread.lows[below].item(), spread.highs[above - 1].item()
    most = _GAIN * (core[1] - core[0])
    everywhere = np.arange(len(counts))
    return (
        -_last_before_a_gap(-core[0], spread.where(everywhere < below).negated(), most),
        _last_before_a_gap(core[1], spread.where(everywhere >= above), most),
    )


def _last_before_a_gap(core: float, beyond: Spread, most: float) -> float:
    """Where the range ends that would end at `core` without the values `beyond` it.

    If they take more than `most`, it ends before the first gap of that width, else at `core`.
    """
    if not len(beyond.counts) or beyond.highs[-1] - core <= most:
        return beyond.highs[-1].item() if len(beyond.counts) else core
    ends = np.concatenate([[core], beyond.highs[:-1]])
    gaps = np.flatnonzero(beyond.lows - ends > most)
    return ends[gaps[0]].item() if gaps.size else core
