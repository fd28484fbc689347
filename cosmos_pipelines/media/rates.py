"""Frame rates: one value for each way in which files and people write the same rate. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

_NTSC: Final = tuple(
    Fraction(nominal * 1000, 1001)
    for nominal in (12, 15, 24, 30, 48, 60, 72, 90, 96, 120, 144, 180, 240)
)
"""The rates of television in America and Japan and their relatives (SMPTE 12M: n * 1000/1001)."""

_CLOSE: Final = Fraction(1, 5000)
"""23.98 is 0.017 % from 24000/1001, 24 is 0.1 % from it."""


_ROUND: Final = Fraction(1, 50)


def snapped(rate: Fraction) -> Fraction:
    """`rate`, or the NTSC rate that it is another spelling of.

    OpenCV writes 2997/100 for 30000/1001, people write 23.976, 23.98 and 59.94. Whole numbers stay.

    >>> snapped(Fraction("23.98")), snapped(Fraction(2997, 100)), snapped(Fraction(24))
    (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(24, 1))
    """
    for exact in _NTSC:
        if abs(rate - exact) <= exact * _CLOSE:
            return exact
    return rate


def usual(rate: Fraction) -> Fraction:
    """The whole number or NTSC rate next to a rate that was averaged, if one is within 2 %.

    >>> usual(Fraction(2160000, 71899)), usual(Fraction(72, 10))
    (Fraction(30, 1), Fraction(36, 5))
    """
    near = min((Fraction(round(rate)), *_NTSC), key=lambda known: abs(known - rate))
    if near and abs(near - rate) <= near * _ROUND:
        return near
    return rate.limit_denominator(1001)
