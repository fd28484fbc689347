"""The picture of a clip's depths. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.media.depth_range import range_of_spread
from cosmos_pipelines.media.depths.spread import Spread
from cosmos_pipelines.page.depth_picture import HEIGHT, WIDTH, DepthPicture, depth_picture

depths = st.floats(2.0**-10, 2.0**30, width=32)


def facts(values: list[float], **how: Any) -> dict[str, Any]:
    found = range_of_spread(Spread.of(np.array(values, np.float32)), "distance", **how)
    assert found
    return found.facts()


def drawn(values: list[float], **how: Any) -> DepthPicture:
    picture = depth_picture(facts(values, **how))
    assert picture
    return picture


@given(
    st.lists(depths, min_size=1, max_size=300),
    st.none() | depths,
    st.sampled_from([None, 1]),
)
def test_everything_lies_within_the_picture(
    values: list[float], far: float | None, near: float | None
) -> None:
    found = facts(values, near=near, far=far)
    white, black = found["value_of_white"], found["value_of_black"]
    if white >= black or found["highest_value"] <= white or found["lowest_value"] >= black:
        return  # refused, or one depth
    picture = drawn(values, near=near, far=far)
    assert all(0 <= x <= WIDTH for _, x, _ in picture.marks)
    for bar in picture.bars:
        assert 0 <= bar.x <= WIDTH
        assert 0 < bar.height <= HEIGHT
        assert 0 <= bar.grey <= 255
    assert max(bar.height for bar in picture.bars) == HEIGHT
    greys = [bar.grey for bar in picture.bars]
    assert greys == sorted(greys, reverse=True)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**20), 10**20)


@given(st.lists(st.integers(0, 10**20), max_size=64), numbers, numbers, numbers, numbers)
def test_whatever_a_record_says_is_drawn_within_the_picture(
    counts: list[int], start: float, end: float, white: float, black: float
) -> None:
    said = {"histogram": counts, "histogram_ends": [start, end]}
    ends = {"value_of_white": white, "value_of_black": black}
    picture = depth_picture({**facts([1, 2]), **said, **ends})
    for bar in picture.bars if picture else ():
        assert 0 <= bar.x <= WIDTH
        assert 0 <= bar.width <= WIDTH
        assert 0 < bar.height <= HEIGHT
        assert 0 <= bar.grey <= 255


def test_what_was_cut_off_does_not_take_the_picture() -> None:
    picture = drawn([*np.linspace(2, 20, 5000).tolist(), 9000])
    (_, near, two), (_, far, twenty) = picture.marks
    assert (near, two, twenty) == (0, "2", "20")
    assert far == pytest.approx(0.8 * WIDTH, abs=1)
    assert [bar.cut for bar in picture.bars] == [False] * (len(picture.bars) - 1) + [True]
    assert picture.beside == ("0.02 % of all pixels lie outside of the range",)
    assert "half of the pixels lie below 11" in picture.said


def test_a_scene_without_counts_has_no_picture() -> None:
    assert depth_picture(None) is None
    assert depth_picture({**facts([1, 2]), "histogram": []}) is None
