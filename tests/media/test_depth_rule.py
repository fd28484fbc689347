"""The rule by which depths of a clip become greys, for all clips. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cosmos_pipelines.media.asked import DepthHoles
from cosmos_pipelines.media.depth_range import (
    DepthRange,
    Direction,
    range_of_counts,
    range_of_spread,
)
from cosmos_pipelines.media.depths.clip import Clip, sort_out
from cosmos_pipelines.media.depths.frames import DepthFrame
from cosmos_pipelines.media.depths.spread import HISTOGRAM, NOTHING, Spread
from tests.media.renders import Array

distances = st.floats(2.0**-10, 2.0**20, width=32)
clips = st.lists(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=distances),
    min_size=1,
    max_size=5,
)
directions = st.sampled_from(["distance", "nearness"])


def counted(frames: Sequence[Array]) -> Clip:
    clip = Clip()
    for values in frames:
        nothing = int(np.isnan(values).sum())
        clip.add(Clip.of(DepthFrame(values, None, {"NaN": nothing} if nothing else {})))
    return clip


def ranged(
    frames: Sequence[Array],
    values: Direction = "distance",
    holes: DepthHoles | None = None,
    near: float | None = None,
    far: float | None = None,
) -> DepthRange:
    clip = counted(frames)
    sort_out(clip, values, far_given=far is not None)
    found = range_of_spread(clip.spread, values, holes, nothing=clip.nothing, near=near, far=far)
    assert found
    return found


@given(clips, directions)
def test_nearer_is_never_darker(frames: list[Array], values: Direction) -> None:
    found = ranged(frames, values)
    depths = np.unique(np.concatenate([f.ravel() for f in frames]))
    steps = np.diff(found.grey(depths).astype(int))
    assert (steps <= 0).all() if values == "distance" else (steps >= 0).all()


@given(clips, st.randoms(use_true_random=False))
def test_the_order_of_frames_makes_no_difference(
    frames: list[Array], shuffled: random.Random
) -> None:
    others = frames.copy()
    shuffled.shuffle(others)
    assert ranged(others) == ranged(frames)


@given(clips, st.sampled_from([2.0**-7, 0.1, 0.001, 100.0, 1000.0]))
def test_metres_and_centimetres_give_the_same_grey(frames: list[Array], scale: float) -> None:
    scaled = [(frame * np.float32(scale)).astype(np.float32) for frame in frames]
    one, two = ranged(frames), ranged(scaled)
    if (one.cut_share, one.nothing.keys()) != (two.cut_share, two.nothing.keys()):
        return  # a gap that is exactly as wide as is allowed
    for frame, other in zip(frames, scaled, strict=True):
        blur = 255 * 1e-6 * one.high / max(one.high - one.low, 1e-30)  # where all are nearly alike
        difference = np.abs(one.grey(frame).astype(int) - two.grey(other))
        assert difference.max() <= 1 + blur


@given(clips, st.integers(0, 200), directions)
def test_what_hit_nothing_never_stretches_the_range(
    frames: list[Array], nothing: int, values: Direction
) -> None:
    alone = ranged(frames, values)
    beside = ranged([*frames, np.full((1, nothing), np.nan, np.float32)], values)
    assert (beside.low, beside.high, beside.histogram) == (alone.low, alone.high, alone.histogram)
    assert (beside.grey(np.full((2, 2), np.nan, np.float32)) == 0).all()


@given(
    st.lists(st.integers(0, 8191), min_size=1, max_size=400),
    directions,
    st.sampled_from([None, "far", "near", "none"]),
)
def test_floats_follow_the_rule_of_whole_numbers(
    pixels: list[int], values: Direction, holes: DepthHoles | None
) -> None:
    of_counts = range_of_counts(np.bincount(pixels, minlength=65536), 0, values, holes)
    of_floats = range_of_spread(Spread.of(np.array(pixels, np.float32)), values, holes)
    assert of_counts == of_floats
    if of_floats is not None and of_floats.low != of_floats.high:
        assert of_counts is not None
        whole = np.unique(pixels)
        greys = of_floats.grey(whole.astype(np.float32))
        wanted = of_counts.table(65535)[whole]
        assert np.abs(greys.astype(int) - wanted).max() <= 1


@given(clips, distances, distances)
def test_a_range_that_is_given_is_white_and_black(
    frames: list[Array], one: float, two: float
) -> None:
    near, far = sorted((one, two))
    if near == far:
        return
    found = ranged(frames, near=near, far=far)
    assert (found.low, found.high) == (near, far)
    ends = np.array([near / 2, near, far, far * 2], np.float32)
    assert found.grey(ends).tolist() == [255, 255, 0, 0]


@given(clips)
def test_a_spread_keeps_every_pixel_and_both_ends(frames: list[Array]) -> None:
    every = np.concatenate([f.ravel() for f in frames])
    spread = counted(frames).spread
    bars = spread.histogram(2, 100)
    assert (spread.pixels, len(bars)) == (every.size, HISTOGRAM)
    assert sum(bars) == every.size
    assert (spread.lows[0], spread.highs[-1]) == (every.min(), every.max())
    assert (spread.lows <= spread.highs).all()
    assert (spread.highs[:-1] < spread.lows[1:]).all()
    assert (spread.highs / spread.lows < 1.0005).all()


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=50))
def test_a_spread_orders_values_of_both_signs(values: list[float]) -> None:
    whole = Spread.of(np.array(values, np.float32))
    half = Spread.of(np.array(values[::2], np.float32))
    both = half.and_of(Spread.of(np.array(values[1::2], np.float32)))
    for one, two in ((whole.lows, both.lows), (whole.highs, both.highs)):
        assert one.tolist() == two.tolist()
    assert whole.counts.tolist() == both.counts.tolist()
    assert (np.diff(whole.lows) > 0).all()
    turned = whole.negated().negated()
    assert turned.lows.tolist() == whole.lows.tolist()


def test_a_spread_of_many_frames_stays_small() -> None:
    spread, made = NOTHING, np.random.default_rng(1)
    for _ in range(20):
        spread = spread.and_of(Spread.of(made.uniform(1, 64, 50_000).astype(np.float32)))
    assert spread.pixels == 1_000_000
    assert len(spread.counts) <= 6 * 4096 + 1


@pytest.mark.parametrize("share", [0.0005, 0.5])
def test_a_far_clip_is_known_by_its_many_pixels_and_its_gap(share: float) -> None:
    frame = np.linspace(1, 20, 10_000, dtype=np.float32)
    frame[: int(share * 10_000)] = 100
    found = ranged([frame[None]])
    assert found.high == 20
    assert found.nothing == ({"the far clip at 100": 0.5} if share == 0.5 else {})
    assert found.cut_share == (0 if share == 0.5 else 0.0005)
