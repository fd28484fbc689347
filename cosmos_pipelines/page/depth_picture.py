"""A clip's depths as a picture: how many pixels lie where, and which of them became white. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

WIDTH: Final = 320
HEIGHT: Final = 72
STRIP: Final = 10
"""Height of the strip of greys below the bars."""


@dataclass(frozen=True)
class Bar:
    """`x`, `width` and `height` in the picture's units; `grey`: what its depths became, 0..255.

    The height goes by the root of the pixels, so that few beside many are seen. `cut`: they lie
    outside of the range, so that they have the grey of its end.
    """

    x: float
    width: float
    height: float
    grey: int
    cut: bool


@dataclass(frozen=True)
class DepthPicture:
    """Bars from the smallest value at the left. `marks`: where white and black begin, in words.

    `beside`: what else there is to say, a phrase each; `said`: all of it in words.
    """

    bars: tuple[Bar, ...]
    marks: tuple[tuple[str, float, str], ...]
    beside: tuple[str, ...]
    said: str


def depth_picture(depth: Mapping[str, Any] | None) -> DepthPicture | None:
    """The picture of a pass's depth facts (see `CosmosAPI.look_at_scene`); None without counts."""
    if not depth or not sum(depth["histogram"]):
        return None
    start, end = depth["histogram_ends"]
    white, black = depth["value_of_white"], depth["value_of_black"]
    left, right = min(start, white, black), max(end, white, black)
    span = (right - left) or 1

    def place(value: float) -> float:
        return min(WIDTH, max(0.0, float(round(WIDTH * (value - left) / span, 2))))

    unit = depth["unit"]
    marks = (
        ("near", place(white), _number(white, unit)),
        ("far", place(black), _number(black, unit)),
    )
    bars = _bars(depth["histogram"], place, start, end, (white, black))
    beside = tuple(_beside(depth))
    said = (
        f"How many pixels lie at which depth: white (near) is {marks[0][2]}, "
        f"black (far) is {marks[1][2]}; half of the pixels lie below "
        f"{_number(_median(depth['histogram'], start, end), unit)}"
    )
    return DepthPicture(bars, marks, beside, "; ".join([said, *beside]) + ".")


def _bars(
    counts: Sequence[int], place: Any, start: float, end: float, ends: tuple[float, float]
) -> tuple[Bar, ...]:
    white, black = ends
    most, each = max(counts), (end - start) / len(counts)
    bars = []
    for i, count in enumerate(counts):
        if not count:
            continue
        first, last = start + i * each, start + (i + 1) * each
        part = ((first + last) / 2 - black) / (white - black) if white != black else 1
        bars.append(
            Bar(
                x=place(first),
                width=max(1.0, round(place(start + each) - place(start), 2)),
                height=max(1.0, round(HEIGHT * sqrt(count / most), 2)),
                grey=round(255 * min(1, max(0, part))),
                cut=last < min(ends) or first > max(ends),
            )
        )
    return tuple(bars)


def _median(counts: Sequence[int], start: float, end: float) -> float:
    """A value that half of the pixels lie below."""
    below, half = 0, sum(counts) / 2
    for i, count in enumerate(counts):
        if below + count >= half:
            return start + (end - start) * (i + (half - below) / count) / len(counts)
        below += count
    return end


def _beside(depth: Mapping[str, Any]) -> list[str]:
    said = []
    for share, what in (
        (depth["background_share"], "hit nothing"),
        (depth["holes_share"], "are 0, not measured"),
        (depth["transparent_share"], "are transparent"),
        (depth["cut_off_share"], "lie outside of the range"),
    ):
        if share:
            text = f"{100 * share:.3g}" if share >= 1e-4 else "less than 0.01"
            said.append(f"{text} % of all pixels {what}")
    return said


def _number(value: float, unit: str | None) -> str:
    text = str(value) if isinstance(value, int) else f"{value:.4g}".replace("e+", "e")
    return f"{text} {unit}" if unit else text
