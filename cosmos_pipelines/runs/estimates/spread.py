"""A time that is not known exactly: its middle, and what nine of ten do not exceed. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Seconds, or another amount: half of the cases take at most `p50`, nine of ten `p90`.

    `p90` is None where nothing tells how far the cases lie apart.
    """

    p50: float
    p90: float | None

    def __add__(self, other: Spread) -> Spread:
        """Return the sum of two times that do not depend on each other.

        What each may take more than its middle is added as independent errors are: by squares.
        """
        if self.p90 is None or other.p90 is None:
            return Spread(self.p50 + other.p50, None)
        middle = self.p50 + other.p50
        return Spread(middle, middle + math.hypot(self.p90 - self.p50, other.p90 - other.p50))

    def scaled(self, factor: float) -> Spread:
        """Return this many times the amount."""
        return Spread(self.p50 * factor, None if self.p90 is None else self.p90 * factor)


NOTHING = Spread(0.0, 0.0)


def together(spreads: Iterable[Spread]) -> Spread:
    """Return the sum of times that are long or short together: of runs in one load."""
    middle, high = 0.0, 0.0
    known = True
    for one in spreads:
        middle += one.p50
        known = known and one.p90 is not None
        high += one.p90 or 0.0
    return Spread(middle, high if known else None)


def spread_of(values: Sequence[float]) -> Spread:
    """Return what at least one measured value says of the next one.

    The next value is at most the k-th smallest of n with the probability k / (n + 1), whatever the
    values are, if all come from the same source: `p90` is the first of them that has 0.9. Fewer
    than nine values have none: their largest is taken, and more the fewer there are.
    """
    ordered = sorted(values)
    number = len(ordered)
    rank = math.ceil(0.9 * (number + 1))
    high = ordered[rank - 1] if rank <= number else ordered[-1] * (1 + 1 / (number + 1))
    return Spread(float(median(ordered)), max(high, median(ordered)))
