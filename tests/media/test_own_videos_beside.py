"""Videos that a tool writes beside its pictures, called as ours are, stay and are in no way."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.prepare import load_scene, prepare_scene
from cosmos_pipelines.media.renewal import compare, renew, to_make
from tests.media import renders


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip as Isaac Sim's CosmosWriter leaves it: pictures of each pass and a video of them."""
    directory = tmp_path / "clip_0000"
    renders.sequence(directory / "rgb", "rgb_%04d.png", renders.colour)
    renders.sequence(directory / "depth", "depth_%04d.png", renders.distance)
    renders.sequence(directory / "segmentation", "segmentation_%04d.png", renders.segments)
    for name in ("rgb", "depth", "segmentation"):
        renders.video(directory / f"{name}.mp4")
    return directory


def test_pictures_are_prepared_in_place_and_the_videos_beside_them_stay(clip: Path) -> None:
    own = {
        name: (clip / name).read_bytes() for name in ("rgb.mp4", "depth.mp4", "segmentation.mp4")
    }
    made = prepare_scene(clip, clip)
    assert {name: one["file"] for name, one in made["passes"].items()} == {
        "color": "color.mp4",
        "depth": "depth.prepared.mp4",
        "segmentation": "segmentation.prepared.mp4",
    }
    assert made["passes"]["depth"]["source"]["files"] == "depth/depth_####.png"
    assert "depth.mp4 (its 6 frames are there as pictures)" in made["ignored"]
    assert {name: (clip / name).read_bytes() for name in own} == own
    loaded = load_scene(clip)
    assert loaded.passes["depth"].path.name == "depth.prepared.mp4"
    assert prepare_scene(clip, clip)["unchanged"]
    assert {one.name: one.state for one in compare(clip)} == dict.fromkeys(made["passes"], "same")


def test_pictures_that_are_rendered_again_are_made_anew_beside_the_video(clip: Path) -> None:
    before = prepare_scene(clip, clip)["passes"]["depth"]["sha256"]
    renders.sequence(clip / "depth", "depth_%04d.png", lambda i: renders.distance(i) + i * 50)
    renders.video(clip / "depth.mp4", picture=lambda i: renders.colour(i + 3))
    assert to_make(clip) == ["depth"]
    assert renew(clip)
    loaded = load_scene(clip)
    assert loaded.passes["depth"].path.name == "depth.prepared.mp4"
    assert loaded.sha256["depth"] != before


def test_what_was_made_here_and_changed_since_is_still_not_replaced(clip: Path) -> None:
    (clip / "depth.mp4").unlink()
    assert prepare_scene(clip, clip)["passes"]["depth"]["file"] == "depth.mp4"
    renders.video(clip / "depth.mp4")
    renders.sequence(clip / "depth", "depth_%04d.png", lambda i: renders.distance(i) + i * 50)
    with pytest.raises(MediaError, match=r"depth\.mp4 is there already and was not made by"):
        prepare_scene(clip, clip)
