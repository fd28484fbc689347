"""How often which depths occur in a clip, in a memory that does not grow with its frames. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cosmos_pipelines.media.pixels import Array

HISTOGRAM: Final = 64
"""Bars of a histogram."""

_FINE: Final = 11
"""Bits of a 32-bit float that are left out: values less than 1 part in 4,096 apart are one bin."""


@dataclass(frozen=True)
class Spread:
    """Bins of values in rising order; bins do not overlap. All three are float64 or int64, (bins,).

    `lows` and `highs`: the smallest and largest value that occurs in each. `counts`: of pixels.
    """

    lows: Array
    highs: Array
    counts: Array

    @classmethod
    def of(cls, values: Array) -> Spread:
        """Of float32 values in any shape, without those that are no numbers (NaN)."""
        flat = np.sort(values, axis=None)
        flat = flat[: np.searchsorted(flat, np.float32("nan"))]
        flat += np.float32(0)  # -0 becomes 0
        if flat.size == 0:
            return NOTHING
        starts = _starts(flat)
        ends = np.append(starts[1:], flat.size)
        return cls(
            flat[starts].astype(np.float64), flat[ends - 1].astype(np.float64), ends - starts
        )

    @classmethod
    def of_counts(cls, counts: Array) -> Spread:
        """Of whole numbers, of which v occurs `counts[v]` times: each is a bin."""
        there = np.flatnonzero(counts)
        return cls(there, there, counts[there].astype(np.int64))

    def and_of(self, other: Spread) -> Spread:
        """Both together. The order in which many are put together makes no difference."""
        if not len(other.counts) or not len(self.counts):
            return self if len(self.counts) else other
        lows = np.concatenate([self.lows, other.lows])
        order = np.argsort(lows, kind="stable")
        lows = lows[order]
        starts = _starts(lows.astype(np.float32))
        highs = np.concatenate([self.highs, other.highs])[order]
        counts = np.concatenate([self.counts, other.counts])[order]
        return Spread(
            lows[starts], np.maximum.reduceat(highs, starts), np.add.reduceat(counts, starts)
        )

    def where(self, wanted: Array) -> Spread:
        """Only the bins where `wanted` (bool, (bins,)) is true."""
        return Spread(self.lows[wanted], self.highs[wanted], self.counts[wanted])

    def negated(self) -> Spread:
        """Of the values times -1."""
        return Spread(-self.highs[::-1], -self.lows[::-1], self.counts[::-1])

    @property
    def pixels(self) -> int:
        """How many values there are in all."""
        return int(self.counts.sum())

    def outside(self, low: float, high: float) -> int:
        """How many values are less than `low` or more than `high`, as far as the bins tell."""
        return int(self.counts[(self.highs < low) | (self.lows > high)].sum())

    def histogram(self, start: float, end: float) -> tuple[int, ...]:
        """Counts in `HISTOGRAM` equal bars; the outer ones have all that lies beyond them too."""
        middles = (self.lows + self.highs) / 2
        bars = (middles - start) / ((end - start) or 1) * HISTOGRAM
        bars = np.clip(bars, 0, HISTOGRAM - 1).astype(np.int64)
        return tuple(np.bincount(bars, self.counts, HISTOGRAM).astype(np.int64).tolist())


NOTHING: Final = Spread(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))


def _starts(rising: Array) -> Array:
    """Where bins begin in float32 values in rising order."""
    bits = rising.view(np.int32) >> _FINE
    return np.append(0, np.flatnonzero(bits[1:] != bits[:-1]) + 1)
