"""Rates are one if a writer spells them so."""

from __future__ import annotations

from fractions import Fraction

import pytest

from cosmos_pipelines.operations.rate import frame_rate, same_rate

WRITTEN = {
    "24000/1001": "23.98",
    "30000/1001": "29.97",
    "60000/1001": "59.94",
    "15000/1001": "14.99",
    "100/3": "33.33",
}
"""What imageio-ffmpeg 0.6.0 wrote of these rates (measured)."""


@pytest.mark.parametrize(("rate", "written"), WRITTEN.items())
def test_what_the_writer_makes_of_a_rate_is_that_rate(rate: str, written: str) -> None:
    assert same_rate(str(Fraction(written)), rate)
    assert same_rate(rate, str(frame_rate(rate)))


@pytest.mark.parametrize("rate", [24, 25, 30, 48, 60])
def test_a_whole_rate_is_not_its_neighbour_of_television(rate: int) -> None:
    assert not same_rate(f"{rate * 1000}/1001", str(rate))
    assert not same_rate(str(rate), str(rate + 1))
