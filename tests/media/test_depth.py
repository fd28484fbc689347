from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import DepthHoles
from cosmos_pipelines.media.depth import grey_reader, range_of
from cosmos_pipelines.media.depth_range import (
    MOST_CUT,
    DepthRange,
    Direction,
    range_of_counts,
)
from tests.media import renders


def ranged(directory: Path, frames: list[renders.Array]) -> DepthRange:
    renders.sequence(directory, "%04d.png", lambda i: frames[i], range(len(frames)))
    return range_of(sorted(directory.iterdir()), "distance", lambda: None)


def test_the_range_is_that_of_the_whole_clip(tmp_path: Path) -> None:
    frames = [np.full((4, 4), v, np.uint16) for v in (300, 100, 200)]
    found = ranged(tmp_path, frames)
    assert (found.low, found.high, found.background, found.background_share) == (100, 300, None, 0)


def test_background_does_not_stretch_the_range(tmp_path: Path) -> None:
    frame = np.full((4, 4), 300, np.uint16)
    frame[0] = 65535
    frame[1] = 100
    found = ranged(tmp_path, [frame, np.full((4, 4), 65535, np.uint16)])
    assert (found.low, found.high, found.background) == (100, 300, 65535)
    assert found.background_share == 20 / 32


def test_8_bit_depth_is_stretched_too(tmp_path: Path) -> None:
    frame = np.linspace(10, 90, 64).astype(np.uint8).reshape(8, 8)
    table = ranged(tmp_path, [frame]).table(255)
    assert (table[10], table[90], table[255]) == (255, 0, 0)


def test_a_clip_of_one_distance_is_near(tmp_path: Path) -> None:
    found = ranged(tmp_path, [np.full((4, 4), 5, np.uint16)])
    assert found.table(65535)[5] == 255


def test_a_clip_of_background_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="every value is 65535"):
        ranged(tmp_path, [np.full((4, 4), 65535, np.uint16)])


@given(st.integers(0, 65534), st.integers(0, 65534), st.sampled_from(["distance", "nearness"]))
def test_nearer_is_never_darker(a: int, b: int, values: Direction) -> None:
    low, high = sorted((a, b))
    table = DepthRange(low, high, values).table(65535)
    steps = np.diff(table.astype(int))
    assert (steps <= 0).all() if values == "distance" else (steps >= 0).all()
    if low < high:
        assert {int(table[low]), int(table[high])} == {0, 255}


def counted(pixels: renders.Array, holes: DepthHoles | None = None, **how: object) -> DepthRange:
    largest = int(np.iinfo(pixels.dtype).max)
    values: Direction = how.get("values", "distance")  # type: ignore[assignment]
    found = range_of_counts(np.bincount(pixels.ravel(), minlength=largest + 1), 0, values, holes)
    assert found
    return found


def surface(low: int, high: int, size: int = 64) -> renders.Array:
    """A smooth surface with all its distances from `low` to `high`."""
    return np.linspace(low, high, size * size).round().astype(np.uint16).reshape(size, size)


@pytest.mark.parametrize("low", [300, 1000, 20000])
def test_zeros_apart_from_all_distances_are_holes_and_far(low: int) -> None:
    pixels = surface(low, 60000)
    pixels[5:9, 5:30] = 0
    found = counted(pixels)
    assert (found.low, found.high) == (low, 60000)
    assert found.holes_share == 100 / 4096
    assert found.table(65535)[[0, low, 60000]].tolist() == [0, 255, 0]


def test_a_single_pixel_that_was_not_measured_is_a_hole() -> None:
    pixels = surface(3000, 9000)
    pixels[5, 5] = 0
    assert (counted(pixels).low, counted(pixels).holes_share) == (3000, 1 / 4096)


@pytest.mark.parametrize("high", [255, 4095, 65000])
def test_a_scene_whose_nearest_point_is_at_zero_has_no_holes(high: int) -> None:
    found = counted(surface(0, high))
    assert (found.low, found.high, found.holes_share) == (0, high, 0)
    assert found.table(65535)[0] == 255


@pytest.mark.parametrize(
    ("holes", "low", "grey"), [("far", 500, 0), ("near", 500, 255), ("none", 0, 255)]
)
def test_what_zero_means_can_be_said(holes: DepthHoles, low: int, grey: int) -> None:
    pixels = surface(500, 900)
    pixels[5:7] = 0
    assert counted(pixels, holes).low == low
    assert counted(pixels, holes).table(65535)[0] == grey
    pixels = surface(0, 900)
    assert counted(pixels, holes).table(65535)[0] == grey


def test_zeros_of_nearness_do_not_take_the_range_from_what_was_measured() -> None:
    pixels = surface(20000, 40000)
    pixels[:9] = 0
    found = counted(pixels, values="nearness")
    assert found.low > 20000
    assert found.table(65535)[0] == 0


@pytest.mark.parametrize("outlier", [1, 50, 65000])
def test_one_outlier_does_not_take_the_range(outlier: int) -> None:
    pixels = surface(2000, 3000)
    pixels[7, 7] = outlier
    found = counted(pixels)
    assert (found.low, found.high) == (2000, 3000)
    assert (found.lowest, found.highest) == (min(2000, outlier), max(3000, outlier))
    assert found.cut_share == 1 / 4096
    assert found.table(65535)[outlier] == (255 if outlier < 2000 else 0)


def test_outliers_strewn_over_the_whole_range_do_not_take_it() -> None:
    pixels = surface(2000, 3000, 512)
    strewn = np.random.default_rng(1).integers(3000, 65000, 200)
    pixels.ravel()[500:100_500:500] = strewn
    assert 2990 <= counted(pixels).high <= 3000


def test_something_small_but_no_outlier_keeps_its_place() -> None:
    pixels = surface(2000, 3000)
    pixels[10:20, 10:20] = 200  # a bird near the camera: two percent of the picture
    assert (counted(pixels).low, counted(pixels).cut_share) == (200, 0)


@given(
    st.lists(st.integers(0, 65535), min_size=1, max_size=400),
    st.sampled_from(["distance", "nearness"]),
    st.sampled_from([None, "far", "near", "none"]),
)
def test_little_is_cut_off_and_only_where_much_is_gained(
    pixels: list[int], values: Direction, holes: DepthHoles | None
) -> None:
    counts = np.bincount(pixels, minlength=65536)
    found = range_of_counts(counts, 0, values, holes)
    if found is None:
        assert {*pixels} <= {0, 65535}
        return
    assert found.lowest <= found.low <= found.high <= found.highest
    assert round(found.cut_share * len(pixels)) <= 2 * max(1, MOST_CUT * len(pixels))
    for cut in (found.low - found.lowest, found.highest - found.high):
        assert cut == 0 or cut > 0.09 * (found.high - found.low)


@given(st.integers(1, 65000), st.integers(0, 500), st.integers(1, 3))
def test_without_outliers_and_holes_the_range_is_from_the_smallest_to_the_largest(
    low: int, span: int, times: int
) -> None:
    found = counted(np.repeat(np.arange(low, low + span + 1).astype(np.uint16), times), "none")
    assert (found.low, found.high, found.cut_share) == (low, low + span, 0)


def test_16_bit_grey_with_alpha_keeps_all_its_levels(tmp_path: Path) -> None:
    values = surface(1000, 1000 + 1013)
    pixels = np.stack([values, np.full_like(values, 65535)], axis=-1)
    renders.save(tmp_path / "0001.png", pixels)
    found = range_of([tmp_path / "0001.png"], "distance", lambda: None)
    assert (found.low, found.high) == (1000, 2013)
    data = (tmp_path / "0001.png").read_bytes()
    frame = grey_reader(found, 64, 64)(data, tmp_path / "0001.png")
    assert len(np.unique(frame.to_ndarray()[:64])) == 220  # all levels of limited range


def test_what_is_transparent_was_not_measured(tmp_path: Path) -> None:
    values = surface(1000, 2000)
    alpha = np.full_like(values, 65535)
    values[:8], alpha[:8] = 7, 0
    renders.save(tmp_path / "0001.png", np.stack([values, alpha], axis=-1))
    found = range_of([tmp_path / "0001.png"], "distance", lambda: None)
    assert found.transparent_share == 8 / 64
    assert found.low > 1000
    data = (tmp_path / "0001.png").read_bytes()
    frame = grey_reader(found, 64, 64)(data, tmp_path / "0001.png")
    assert (frame.to_ndarray()[:8] == 16).all()


def test_a_clip_in_which_nothing_was_measured_is_refused(tmp_path: Path) -> None:
    frame = np.zeros((4, 4), np.uint16)
    frame[0] = 65535
    renders.save(tmp_path / "0001.png", frame)
    with pytest.raises(
        MediaError, match="no pixel of the depth pass has a distance: every value is 0 or 65535"
    ):
        range_of([tmp_path / "0001.png"], "distance", lambda: None, holes="far")
