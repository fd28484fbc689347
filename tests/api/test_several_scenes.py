"""A directory with several scenes: each is planned, prepared and kept by itself."""

from __future__ import annotations

import inspect
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.api.preparation import Preparation
from cosmos_pipelines.errors import MediaError
from tests.media import renders
from tests.support.project import make_project


@pytest.fixture
def api(tmp_path: Path) -> Iterator[CosmosAPI]:
    project = make_project(tmp_path / "home")
    project.catalog.close()
    with CosmosAPI(project.settings.home) as api:
        yield api


def demonstrations(directory: Path, count: int) -> Path:
    for n in range(count):
        renders.video(directory / f"demo_{n}_cam.mp4")
        renders.video(directory / f"demo_{n}_cam_depth.mp4")
    return directory


def labelled(directory: Path) -> Path:
    """Two segmentations, as a render farm leaves them; one has labels."""
    renders.sequence(directory, "rgb_%04d.png", renders.colour)
    for kind in ("semantic", "instance"):
        renders.sequence(directory, f"{kind}_segmentation_%04d.png", renders.segments)
    (directory / "instance_segmentation_labels.json").write_text("{}")
    return directory


def test_each_scene_lies_below_the_inputs_and_knows_its_sources(
    api: CosmosAPI, tmp_path: Path
) -> None:
    drop = demonstrations(tmp_path / "drop", 2)
    with pytest.raises(
        MediaError, match=r"Each is a scene \(demo_0_cam, demo_1_cam\): .*--scene NAME"
    ):
        api.prepare_scene(drop)
    names = api.scenes_in(drop)["scenes"]
    assert names == ["demo_0_cam", "demo_1_cam"]
    made = [api.prepare_scene(drop, scene=name) for name in names]
    assert [one["key"] for one in made] == ["drop/demo_0_cam", "drop/demo_1_cam"]
    assert made[1]["asked"]["scene"] == "demo_1_cam"
    assert api.prepare_scene(drop, scene=names[0])["unchanged"]
    renders.video(drop / "demo_0_cam.mp4", picture=renders.segments)
    states = {one["key"]: one["state"] for one in api.list_scenes()}
    assert states == {"drop/demo_0_cam": "changed", "drop/demo_1_cam": "as_measured"}
    api.create_prompt("A kitchen", "drop/demo_0_cam")
    assert api.get_scene("drop/demo_0_cam")["state"] == "as_measured"


def test_a_scene_stays_the_same_when_the_others_leave_or_come(
    api: CosmosAPI, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    for eye in ("left", "right"):
        renders.sequence(drop, f"color_{eye}.%04d.png", renders.colour)
    api.prepare_scene(drop, scene="left")
    for file in drop.glob("color_right.*"):
        file.unlink()
    assert api.get_scene("drop/left")["state"] == "as_measured"
    api.create_prompt("A kitchen", "drop/left")
    os.utime(drop / "color_left.0001.png", (5, 5))
    assert api.create_prompt("A yard", "drop/left")["created"]


def test_scenes_in_directories_of_their_own_are_prepared_in_place_and_again(
    api: CosmosAPI,
) -> None:
    show = api.settings.inputs / "show"
    for version in ("v001", "v002"):
        renders.sequence(show / version, "beauty/a.%04d.png", renders.colour)
        renders.sequence(show / version, "depth/a.%04d.png", renders.distance)
    for unchanged in (False, True):
        names = api.scenes_in(show)["scenes"]
        assert names == ["v001", "v002"]
        made = [api.prepare_scene(show, scene=name) for name in names]
        assert [one["key"] for one in made] == ["show/v001", "show/v002"]
        assert [one["unchanged"] for one in made] == [unchanged, unchanged]
    assert (show / "v002" / "color.mp4").is_file()


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a preview"])
def test_the_last_clip_keeps_its_name_and_place_when_all_others_are_prepared(
    api: CosmosAPI, beside: bool
) -> None:
    drop = api.settings.inputs / "drop"
    for clip in ("clip_0000", "clip_0001"):
        renders.sequence(drop / clip, "color.%04d.png", renders.colour)
        renders.sequence(drop / clip, "depth.%04d.png", renders.distance)
    if beside:
        renders.video(drop / "preview.mp4")
    for unchanged in (False, True):
        names = api.scenes_in(drop)["scenes"]
        assert names == ["clip_0000", "clip_0001"]
        made = [api.prepare_scene(drop, scene=name) for name in names]
        assert [one["key"] for one in made] == ["drop/clip_0000", "drop/clip_0001"]
        assert [one["unchanged"] for one in made] == [unchanged, unchanged]
    assert not (drop / "scene.json").exists()


def test_a_directory_that_is_a_scene_beside_others_in_it_is_prepared_too(api: CosmosAPI) -> None:
    drop = api.settings.inputs / "drop"
    renders.sequence(drop / "take", "color.%04d.png", renders.colour)
    api.prepare_scene(drop / "take")
    renders.sequence(drop, "color.%04d.png", renders.colour)
    names = api.scenes_in(drop)["scenes"]
    assert names == [".", "take"]
    keys = [api.prepare_scene(drop, scene=name)["key"] for name in names]
    assert keys == ["drop", "drop/take"]


def test_what_was_asked_for_is_found_again_with_its_labels(api: CosmosAPI, tmp_path: Path) -> None:
    shot = labelled(tmp_path / "shot")
    with pytest.raises(MediaError, match="--pass segmentation="):
        api.prepare_scene(shot)
    made = api.prepare_scene(shot, passes="segmentation=instance_segmentation")
    assert made["passes"]["segmentation"]["source"]["files"] == "instance_segmentation_####.png"
    record = json.loads((Path(made["path"]) / "scene.json").read_text())
    assert record["asked"]["passes"] == "segmentation=instance_segmentation"
    (shot / "instance_segmentation_labels.json").write_text('{"1": {"class": "car"}}')
    assert api.get_scene("shot")["state"] == "changed"
    api.create_prompt("A street", "shot")
    assert api.get_scene("shot")["state"] == "as_measured"


def test_a_plan_tells_what_is_taken_and_what_is_wrong_and_writes_nothing(
    api: CosmosAPI, tmp_path: Path
) -> None:
    drop = demonstrations(tmp_path / "drop", 2)
    (drop / "demo_1_cam_depth.mp4").write_bytes(b"no video")
    good, bad = api.plan_scene(drop)
    assert (good["scene"], good["wrong"]) == ("demo_0_cam", None)
    depth = good["passes"][1]
    assert (depth["pass"], depth["files"], depth["frames"]) == ("depth", "demo_0_cam_depth.mp4", 6)
    assert (depth["width"], depth["why"]) == (64, "its name says depth")
    assert "demo_1_cam_depth.mp4 is not a video" in bad["wrong"]
    assert not (api.settings.inputs / "drop").exists()
    picture = api.picture_of_plan(drop, "depth", scene="demo_0_cam")
    assert picture is not None
    assert Image.open(io.BytesIO(picture)).size == (64, 48)
    assert api.picture_of_plan(drop, "edge", scene="demo_0_cam") is None


def test_a_plan_takes_what_the_preparation_takes() -> None:
    taken = set(inspect.signature(CosmosAPI.prepare_scene).parameters)
    assert taken - set(Preparation.model_fields) == {
        *("self", "directory", "name", "description", "progress"),
    }
