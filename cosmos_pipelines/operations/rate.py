"""What a frame rate is, however it is written. Pure."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from cosmos_pipelines.errors import InputError, shown

LEAST: Final = 1
MOST: Final = 240
_NTSC: Final = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120))
"""Rates that people write as 23.976, 29.97, ..."""
_NEAR: Final = Fraction(1, 200)
WRITTEN: Final = Fraction(1, 100)
"""NVIDIA's writer, imageio-ffmpeg, hands ffmpeg two decimals: 24000/1001 is written as 23.98."""


def frame_rate(given: object) -> Fraction:
    """Frames a second, exact: of 24, 23.976, "30000/1001", a Fraction.

    23.976, 23.98, 29.97, 59.94 and the like mean the exact rates of NTSC.

    Raises:
        InputError: no such number, or not between 1 and 240.
    """
    if isinstance(given, bool) or not isinstance(given, str | int | float | Decimal | Fraction):
        raise InputError(f"{shown(given)} is not a frame rate.", hint="Give 24 or '30000/1001'.")
    try:
        exact = Fraction(given) if len(str(given)) <= 40 else None
    except (ValueError, ZeroDivisionError, OverflowError):  # a word, 1/0, nan, inf
        exact = None
    if exact is None:
        raise InputError(f"{shown(given)} is not a frame rate.", hint="Give 24 or 30000/1001.")
    if not LEAST <= exact <= MOST:
        raise InputError(f"A rate of {shown(given)} is not between {LEAST} and {MOST}.")
    if "/" in str(given):
        return exact
    near = next((rate for rate in _NTSC if abs(rate - exact) < _NEAR), None)
    return near or exact.limit_denominator(1001)


def same_rate(found: str, wanted: str) -> bool:
    """Whether the rate of a written file is the one that was wanted, as exactly as it is written.

    24 and 24000/1001 are two rates.
    """
    return abs(Fraction(found) - Fraction(wanted)) < WRITTEN
