from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.depth import DepthRange, range_of
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
    with pytest.raises(MediaError, match="every depth value is 65535"):
        ranged(tmp_path, [np.full((4, 4), 65535, np.uint16)])


@given(st.integers(0, 65534), st.integers(0, 65534), st.sampled_from(["distance", "nearness"]))
def test_nearer_is_never_darker(a: int, b: int, values: str) -> None:
    low, high = sorted((a, b))
    table = DepthRange(low, high, None, 0.0, values).table(65535)  # type: ignore[arg-type]
    steps = np.diff(table.astype(int))
    assert (steps <= 0).all() if values == "distance" else (steps >= 0).all()
    if low < high:
        assert {int(table[low]), int(table[high])} == {0, 255}
