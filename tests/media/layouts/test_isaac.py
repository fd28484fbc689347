"""Depth as Isaac Sim's CosmosWriter leaves it: 8-bit pictures, near bright, beside their video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.scene_plan import plan_of
from cosmos_pipelines.media.sequence import survey
from tests.media import renders
from tests.media.renders import Array

FRAMES = 3


def near_below(i: int, width: int = 64, height: int = 48) -> Array:
    """What is below is near and bright; nothing was hit at the top."""
    rows = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return np.repeat(np.repeat(rows, width, 1)[..., None], 3, axis=2)


def clip(directory: Path, *, videos: bool = True, shaded: bool = True) -> Path:
    """One clip; `shaded`: with its shaded segments."""
    passes = {"rgb": renders.colour, "depth": near_below, "segmentation": renders.segments}
    if shaded:
        passes["shaded_seg"] = renders.segments
    for name, picture in passes.items():
        numbers = range(FRAMES)
        renders.sequence(directory / name, f"{name}_%04d.png", picture, numbers)
        if videos:
            renders.video(directory / f"{name}.mp4", frames=FRAMES, fps=30, picture=picture)
    return directory


def ends(made: Path) -> tuple[int, int]:
    """The greys at the top and at the bottom of the first frame of the prepared depth."""
    first = next(iter(pictures_of(made / "depth.mp4")))
    return round(first[1].mean()), round(first[-2].mean())


def test_depth_is_near_bright_whether_its_pictures_or_its_video_are_taken(tmp_path: Path) -> None:
    source = clip(tmp_path / "clip_0000")
    made = prepare_scene(source, tmp_path / "pictures")
    assert made["passes"]["depth"]["source"]["kind"] == "png"
    assert made["passes"]["depth"]["depth"]["kind"] == "nearness"
    assert any("near bright; `--depth planar --depth-holes none`" in note for note in made["notes"])
    prepare_scene(source, tmp_path / "video", Asked(passes=("depth=depth.mp4",)))
    top, bottom = ends(tmp_path / "pictures")
    assert (top < 10, bottom > 245) == (True, True)
    assert np.allclose(ends(tmp_path / "video"), (top, bottom), atol=4)


def test_pictures_have_the_rate_of_the_video_of_the_same_frames(tmp_path: Path) -> None:
    source = clip(tmp_path / "clip_0000")
    made = prepare_scene(source, tmp_path / "made")
    assert made["fps"] == "30"
    assert "the rate is that of rgb.mp4: 30 frames a second" in made["notes"]
    assert prepare_scene(source, tmp_path / "other", Asked(fps=Fraction(16)))["fps"] == "16"
    renders.video(source / "depth.mp4", frames=FRAMES, fps=24, picture=near_below)
    with pytest.raises(MediaError, match=r"differ in rate: .*Give the rate"):
        prepare_scene(source, tmp_path / "third")


def test_shaded_segments_tell_it_where_there_are_no_videos(tmp_path: Path) -> None:
    source = clip(tmp_path / "clip_0000", videos=False)
    (plan,) = [plan_of(one, Asked()) for one in survey(source).scenes]
    depth = next(one for one in plan["passes"] if one["pass"] == "depth")
    assert depth["values"] == "8-bit RGB, nearness"
    assert "near bright, as Isaac Sim writes them" in depth["why"]
    prepare_scene(source, tmp_path / "made")
    assert ends(tmp_path / "made")[1] > 245


def test_larger_values_can_be_taken_for_farther_all_the_same(tmp_path: Path) -> None:
    made = prepare_scene(
        clip(tmp_path / "clip_0000"),
        tmp_path / "made",
        Asked(depth_values="planar", depth_holes="none"),
    )
    assert made["passes"]["depth"]["depth"]["source_values"] == "distance"
    assert ends(tmp_path / "made")[1] < 10


def test_measured_distances_stay_distances_beside_a_video_of_them(tmp_path: Path) -> None:
    renders.sequence(tmp_path / "a", "color.%04d.png", renders.colour)
    renders.sequence(tmp_path / "a", "depth.%04d.png", renders.distance)
    renders.video(tmp_path / "a" / "depth.mp4", picture=near_below)
    made = prepare_scene(tmp_path / "a", tmp_path / "made")
    assert made["passes"]["depth"]["depth"]["source_values"] == "distance"
