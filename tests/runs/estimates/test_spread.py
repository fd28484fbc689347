"""The arithmetic of times that are not known exactly."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.runs.estimates.spread import NOTHING, Spread, spread_of, together

SECONDS = st.floats(0, 1e6, allow_nan=False)
TAKEN = st.lists(SECONDS, min_size=1, max_size=40)
SPREADS = st.builds(lambda middle, more: Spread(middle, middle + more), SECONDS, SECONDS)


def near(a: float | None, b: float | None) -> bool:
    """Whether both are the same number, or neither is one."""
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6)


@given(TAKEN)
def test_nine_of_ten_are_never_below_the_middle_and_the_order_of_values_does_not_matter(
    values: list[float],
) -> None:
    found = spread_of(values)
    assert found.p90 is not None
    assert min(values) <= found.p50 <= max(values)
    assert found.p50 <= found.p90 <= max(values) * 1.5
    assert found == spread_of(values[::-1])


@given(TAKEN, st.floats(0.01, 100))
def test_twice_the_work_takes_twice_as_long(values: list[float], factor: float) -> None:
    whole, parts = spread_of([v * factor for v in values]), spread_of(values).scaled(factor)
    assert near(whole.p50, parts.p50)
    assert near(whole.p90, parts.p90)


@given(SPREADS, SPREADS, SPREADS)
def test_a_sum_has_no_order_and_is_at_most_that_of_times_that_are_long_together(
    a: Spread, b: Spread, c: Spread
) -> None:
    left, right = (a + b) + c, c + (b + a)
    assert near(left.p50, right.p50)
    assert near(left.p90, right.p90)
    all_long = together([a, b, c])
    assert left.p90 is not None
    assert all_long.p90 is not None
    assert left.p50 <= left.p90 <= all_long.p90 * (1 + 1e-9) + 1e-6
    assert near((a + NOTHING).p90, a.p90)


@given(SPREADS)
def test_a_sum_with_something_unknown_is_unknown(known: Spread) -> None:
    unknown = Spread(5.0, None)
    assert (known + unknown).p90 is None
    assert together([known, unknown]).p90 is None
    assert near(together([known, unknown]).p50, known.p50 + 5)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 9, 20])
def test_nine_of_ten_next_values_lie_below_what_was_told(number: int) -> None:
    draw = random.Random(number)
    inside = 0
    for _ in range(2000):
        values = [draw.lognormvariate(5, 0.15) for _ in range(number + 1)]
        high = spread_of(values[1:]).p90
        assert high is not None
        inside += values[0] <= high
    assert inside >= 2000 * 0.88
