from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.encode import encode
from cosmos_pipelines.media.pictures import preview, preview_and_thumbnail, spread
from cosmos_pipelines.media.probe import probe
from tests.media import renders


def test_a_preview_moves_and_lasts_as_long_as_the_video(tmp_path: Path) -> None:
    renders.video(tmp_path / "a.mp4", frames=48, width=640, height=352)
    preview(tmp_path / "a.mp4", tmp_path / "shown/p.webp")
    with Image.open(tmp_path / "shown/p.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", (320, 176))
        assert picture.n_frames == 24  # type: ignore[attr-defined]
        picture.load()
        assert picture.info["duration"] * 24 == pytest.approx(2000, abs=24)


def test_small_and_short_videos_have_previews_of_their_size(tmp_path: Path) -> None:
    renders.video(tmp_path / "a.mp4", frames=1)
    preview(tmp_path / "a.mp4", tmp_path / "p.webp")
    with Image.open(tmp_path / "p.webp") as picture:
        assert picture.size == (64, 48)


def thumbnail(video: Path, dest: Path) -> None:
    """The thumbnail of a video, with its preview beside it."""
    preview_and_thumbnail(probe(video), dest.with_suffix(".webp"), dest)


def test_a_preview_is_the_same_with_and_without_a_thumbnail(tmp_path: Path) -> None:
    renders.video(tmp_path / "a.mp4", frames=31)
    preview(tmp_path / "a.mp4", tmp_path / "p.webp")
    thumbnail(tmp_path / "a.mp4", tmp_path / "t.jpg")
    assert (tmp_path / "t.webp").read_bytes() == (tmp_path / "p.webp").read_bytes()


def test_a_thumbnail_is_not_black_where_the_video_fades_in(tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), 0 if i < 5 else 200, np.uint8) for i in range(10)]
    encode(frames, tmp_path / "a.mp4", fps=24)
    thumbnail(tmp_path / "a.mp4", tmp_path / "t.jpg")
    with Image.open(tmp_path / "t.jpg") as picture:
        assert picture.format == "JPEG"
        assert np.asarray(picture).mean() > 150


def test_a_thumbnail_of_a_black_video_is_black(tmp_path: Path) -> None:
    encode([np.zeros((48, 64, 3), np.uint8)] * 3, tmp_path / "a.mp4", fps=24)
    thumbnail(tmp_path / "a.mp4", tmp_path / "t.jpg")
    with Image.open(tmp_path / "t.jpg") as picture:
        assert np.asarray(picture).mean() < 5


def test_what_is_no_video_leaves_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video at all")
    with pytest.raises(MediaError):
        preview(tmp_path / "a.mp4", tmp_path / "p.webp")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@given(st.integers(1, 1000), st.integers(1, 100))
def test_spread_frames_exist_differ_and_start_at_the_first(frames: int, most: int) -> None:
    chosen = spread(frames, most)
    assert chosen[0] == 0
    assert len(set(chosen)) == len(chosen) == min(frames, most)
    assert chosen == sorted(chosen)
    assert chosen[-1] < frames
