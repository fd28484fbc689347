from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.media.rates import snapped, usual


@pytest.mark.parametrize(
    ("written", "nominal"),
    [
        ("2997/100", 30),  # OpenCV
        ("29.97", 30),
        ("30000/1001", 30),
        ("23.976", 24),
        ("2997/125", 24),
        ("23.98", 24),
        ("59.94", 60),
        ("2997/50", 60),
        ("47.95", 48),
        ("119.88", 120),
        ("14.985", 15),
    ],
)
def test_every_spelling_of_an_ntsc_rate_is_one_rate(written: str, nominal: int) -> None:
    assert snapped(Fraction(written)) == Fraction(nominal * 1000, 1001)


@given(st.integers(1, 240))
def test_a_whole_number_stays_what_it_is(rate: int) -> None:
    assert snapped(Fraction(rate)) == rate


@given(st.fractions(Fraction(1), Fraction(240), max_denominator=100_000))
def test_a_rate_moves_by_less_than_a_quarter_of_the_way_to_the_next_whole_number(
    rate: Fraction,
) -> None:
    moved = snapped(rate)
    assert abs(moved - rate) <= rate / 4000
    assert snapped(moved) == moved


@pytest.mark.parametrize("rate", ["24", "25", "23.99", "23.97", "29.98", "30.03", "59.9", "12.5"])
def test_what_is_no_spelling_of_them_is_not_touched(rate: str) -> None:
    assert snapped(Fraction(rate)) == Fraction(rate)


@pytest.mark.parametrize(
    ("average", "rate"),
    [
        ("2160000/71899", "30"),  # a phone
        ("29.961", "30000/1001"),
        ("24.1", "24"),
        ("59.8", "60000/1001"),
        ("7.2", "7.2"),
        ("0.4", "0.4"),
    ],
)
def test_an_averaged_rate_becomes_the_usual_one_next_to_it(average: str, rate: str) -> None:
    assert usual(Fraction(average)) == Fraction(rate)


@given(st.fractions(Fraction(1, 10), Fraction(300), max_denominator=90_000))
def test_an_averaged_rate_moves_by_two_percent_at_most(rate: Fraction) -> None:
    assert abs(usual(rate) - rate) <= rate / 40
    assert usual(usual(rate)) == usual(rate)
