"""What a whole clip of depth holds: measured, not measured, nothing hit, on which side. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from cosmos_pipelines.media.depth_range import MOST_CUT, Direction, without_outliers
from cosmos_pipelines.media.depths.frames import DepthFrame
from cosmos_pipelines.media.depths.spread import NOTHING, Spread

NEGATIVE: Final = "less than 0"


@dataclass
class Clip:
    """Counts over the frames so far. Their order makes no difference."""

    spread: Spread = NOTHING
    nothing: Counter[str] = field(default_factory=Counter)
    transparent: int = 0
    frames_with_two: int = 0
    """Frames that say more than one thing."""

    @classmethod
    def of(cls, frame: DepthFrame) -> Clip:
        """Of one frame."""
        there = frame.values if frame.seen is None else frame.values[frame.seen]
        spread = Spread.of(there)
        transparent = frame.values.size - there.size
        one_value = len(spread.counts) == 1 and spread.lows[0] == spread.highs[0]
        says_one = one_value and not frame.nothing and not transparent
        return cls(spread, Counter(frame.nothing), transparent, int(not says_one))

    def add(self, other: Clip) -> None:
        """Count another clip's frames too."""
        self.spread = self.spread.and_of(other.spread)
        self.nothing += other.nothing
        self.transparent += other.transparent
        self.frames_with_two += other.frames_with_two

    @property
    def pixels(self) -> int:
        """All pixels of all frames."""
        return self.spread.pixels + self.nothing.total() + self.transparent


@dataclass(frozen=True)
class Sides:
    """What values less than 0 of distances are. `negated`: all are, so their amounts count.

    `mixed`: why they cannot be used; else they mean nothing hit.
    """

    negated: bool = False
    mixed: str = ""


def sort_out(clip: Clip, values: Direction, *, far_given: bool) -> Sides:
    """Move what means nothing hit out of the measured values of a clip of distances.

    That is one value less than 0 beside others above, and one largest value of many pixels, farther
    from the rest than the rest reaches: the far clip.
    """
    if values == "nearness":
        return Sides()
    sides = _sides(clip)
    if not sides.mixed and not far_given:
        _without_far_clip(clip)
    return sides


def _sides(clip: Clip) -> Sides:
    spread = clip.spread
    below = spread.lows < 0
    negative = spread.where(below)
    if not negative.pixels:
        return Sides()
    if not (spread.lows > 0).any() and negative.lows[0] != negative.highs[-1]:
        clip.spread = spread.negated()
        return Sides(negated=True)
    one = negative.lows[0] == negative.highs[-1]
    if not one and negative.pixels > MOST_CUT * clip.pixels:
        return Sides(
            mixed=f"{100 * negative.pixels / clip.pixels:.2g} % of its distances are less than 0 "
            f"(from {negative.lows[0]:.4g} to {negative.highs[-1]:.4g}), others are more"
        )
    clip.spread = spread.where(~below)
    clip.nothing[f"{negative.lows[0]:.6g}" if one else NEGATIVE] += negative.pixels
    return Sides()


def _without_far_clip(clip: Clip) -> None:
    spread = clip.spread
    rest = spread.where(
        (np.arange(len(spread.counts)) < len(spread.counts) - 1) & (spread.lows > 0)
    )
    if len(rest.counts) < 2 or spread.lows[-1] != spread.highs[-1]:
        return
    low, high = without_outliers(rest)
    far, pixels = spread.highs[-1], int(spread.counts[-1])
    if pixels > MOST_CUT * clip.pixels and far - high > high - low > 0:
        clip.spread = spread.where(spread.lows < far)
        clip.nothing[f"the far clip at {far:.6g}"] += pixels
