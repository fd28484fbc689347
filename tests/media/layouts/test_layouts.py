"""What tools write, as directory trees, and the scenes that are found in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.layouts.by_names import scenes_by_names
from cosmos_pipelines.media.layouts.stems import words_of
from cosmos_pipelines.media.layouts.tree import DEEP
from cosmos_pipelines.media.listing import listing
from cosmos_pipelines.media.sequence import Survey, find_passes, survey
from cosmos_pipelines.media.sources import look_at
from tests.media import exr_parts, renders

FRAMES = 3


def tree(directory: Path, text: str) -> Path:
    """Make the files of a listing; `####` are three frames, and a video has as many."""
    for pattern in text.split():
        numbered = "####" in pattern
        for number in range(FRAMES) if numbered else [0]:
            file = directory / pattern.replace("####", f"{number:04d}")
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".npy":
                np.save(file, np.zeros((4, 4), np.float32))
            elif file.suffix == ".exr":
                image = oiio.ImageBuf(oiio.ImageSpec(4, 4, 4, "half"))
                image.write(str(file))
            else:
                file.touch()
    return directory


def told(found: Survey) -> dict[str, str]:
    """For each scene its passes, as `color=LABEL depth=LABEL`."""
    return {
        one.name: " ".join(f"{name}={p.label}" for name, p in one.passes.items())
        for one in found.scenes
    }


TREES = {
    "a renderer's versions": (
        "v001/beauty/shot.####.exr v001/depth/shot.####.exr "
        "v002/beauty/shot.####.exr v002/depth/shot.####.exr",
        {
            "v001": "color=v001/beauty/shot.####.exr depth=v001/depth/shot.####.exr",
            "v002": "color=v002/beauty/shot.####.exr depth=v002/depth/shot.####.exr",
        },
    ),
    "versions below the passes": (
        "beauty/v001/####.png beauty/v002/####.png depth/v001/####.png depth/v002/####.png",
        {
            "v001": "color=beauty/v001/####.png depth=depth/v001/####.png",
            "v002": "color=beauty/v002/####.png depth=depth/v002/####.png",
        },
    ),
    "versions in the names": (
        "sh010_color_v001_####.png sh010_depth_v001_####.png "
        "sh010_color_v002_####.png sh010_depth_v002_####.png",
        {
            "sh010_v001": "color=sh010_color_v001_####.png depth=sh010_depth_v001_####.png",
            "sh010_v002": "color=sh010_color_v002_####.png depth=sh010_depth_v002_####.png",
        },
    ),
    "several levels": (
        "out/final/beauty/a.####.png out/final/aov/depth/a.####.png",
        {"out/final": "color=out/final/beauty/a.####.png depth=out/final/aov/depth/a.####.png"},
    ),
    "Replicator's BasicWriter": (
        "rgb_####.png distance_to_camera_####.npy semantic_segmentation_####.png "
        "semantic_segmentation_labels_####.json",
        {
            "": "color=rgb_####.png depth=distance_to_camera_####.npy "
            "segmentation=semantic_segmentation_####.png"
        },
    ),
    "Replicator's BasicWriter with two cameras": (
        "Camera/rgb/rgb_####.png Camera/distance_to_image_plane/distance_to_image_plane_####.npy "
        "Camera_01/rgb/rgb_####.png "
        "Camera_01/distance_to_image_plane/distance_to_image_plane_####.npy",
        {
            "Camera": "color=Camera/rgb/rgb_####.png "
            "depth=Camera/distance_to_image_plane/distance_to_image_plane_####.npy",
            "Camera_01": "color=Camera_01/rgb/rgb_####.png "
            "depth=Camera_01/distance_to_image_plane/distance_to_image_plane_####.npy",
        },
    ),
    "Isaac Lab": (
        "demo_0_cam.mp4 demo_0_cam_depth.mp4 demo_0_cam_shaded_segmentation.mp4 "
        "demo_0_cam_normals.mp4 "
        "demo_1_cam.mp4 demo_1_cam_depth.mp4 demo_1_cam_shaded_segmentation.mp4",
        {
            f"demo_{n}_cam": f"color=demo_{n}_cam.mp4 depth=demo_{n}_cam_depth.mp4 "
            f"segmentation=demo_{n}_cam_shaded_segmentation.mp4"
            for n in (0, 1)
        },
    ),
    "one demonstration of Isaac Lab": (
        "demo_0_cam.mp4 demo_0_cam_depth.mp4",
        {"demo_0_cam": "color=demo_0_cam.mp4 depth=demo_0_cam_depth.mp4"},
    ),
    "Isaac Sim's CosmosWriter, pictures alone": (
        "clip_0000/rgb/rgb_####.png clip_0000/depth/depth_####.png "
        "clip_0000/segmentation/segmentation_####.png clip_0000/shaded_seg/shaded_seg_####.png "
        "clip_0000/edges/edges_####.png clip_0001/rgb/rgb_####.png",
        {
            "clip_0000": "color=clip_0000/rgb/rgb_####.png depth=clip_0000/depth/depth_####.png "
            "segmentation=clip_0000/segmentation/segmentation_####.png "
            "edge=clip_0000/edges/edges_####.png",
            "clip_0001": "color=clip_0001/rgb/rgb_####.png",
        },
    ),
    "CARLA": (
        "camera_rgb/####.png camera_depth/####.png camera_semantic_segmentation/####.png",
        {
            "": "color=camera_rgb/####.png depth=camera_depth/####.png "
            "segmentation=camera_semantic_segmentation/####.png"
        },
    ),
    "Blender's File Output node": (
        "Image####.png Depth####.exr IndexOB####.png",
        {"": "color=Image####.png depth=Depth####.exr segmentation=IndexOB####.png"},
    ),
    "Unreal's Movie Render Queue": (
        "Shot.FinalImage.####.png Shot.FinalImageMovieRenderQueue_WorldDepth.####.exr",
        {
            "": "color=Shot.FinalImage.####.png "
            "depth=Shot.FinalImageMovieRenderQueue_WorldDepth.####.exr"
        },
    ),
    "materials of Unreal": (
        "LS.FinalImage.####.png LS.FinalImagePWM_Depth.####.png LS.FinalImageM_Stencil.####.png "
        "LS.FinalImageM_ObjectId.####.png",
        {
            "": "color=LS.FinalImage.####.png depth=LS.FinalImagePWM_Depth.####.png "
            "segmentation=LS.FinalImageM_ObjectId.####.png"
        },
    ),
    "Replicator's point clouds": (
        "rgb_####.png distance_to_image_plane_####.npy pointcloud_####.npy "
        "pointcloud_rgb_####.npy pointcloud_semantic_####.npy pointcloud_instance_####.npy",
        {"": "color=rgb_####.png depth=distance_to_image_plane_####.npy"},
    ),
    "left and right eyes": (
        "left/color.####.png left/depth.####.png right/color.####.png right/depth.####.png",
        {
            "left": "color=left/color.####.png depth=left/depth.####.png",
            "right": "color=right/color.####.png depth=right/depth.####.png",
        },
    ),
    "eyes in the names": (
        "color_left.####.png color_right.####.png depthLeft.####.png depthRight.####.png",
        {
            "left": "color=color_left.####.png depth=depthLeft.####.png",
            "right": "color=color_right.####.png depth=depthRight.####.png",
        },
    ),
    "passes that are called otherwise, each once": (
        "shot_beauty_v3.mp4 depth/####.png seg.####.png",
        {"": "color=shot_beauty_v3.mp4 depth=depth/####.png segmentation=seg.####.png"},
    ),
}


@pytest.mark.parametrize("case", TREES, ids=lambda case: re.sub(r"\W+", "-", case))
def test_what_a_tool_writes_becomes_scenes(tmp_path: Path, case: str) -> None:
    text, expected = TREES[case]
    assert told(survey(tree(tmp_path, text))) == expected


def test_pictures_are_taken_rather_than_a_video_of_the_same_frames(tmp_path: Path) -> None:
    tree(tmp_path, "rgb/rgb_####.png")
    renders.video(tmp_path / "rgb.mp4", frames=FRAMES)
    found = survey(tmp_path).scene()
    assert found.passes["color"].kind == "png"
    assert found.ignored == ("rgb.mp4 (its 3 frames are there as pictures)",)


def test_a_video_of_other_length_than_the_pictures_is_no_lesser_candidate(tmp_path: Path) -> None:
    tree(tmp_path, "rgb/rgb_####.png")
    renders.video(tmp_path / "rgb.mp4", frames=FRAMES + 1)
    with pytest.raises(MediaError, match=r"2 candidates for the pass color: .*--pass color="):
        find_passes(tmp_path)


def test_plain_segments_and_arrays_and_planar_depth_are_taken_and_the_others_told(
    tmp_path: Path,
) -> None:
    tree(
        tmp_path,
        "rgb_####.png shaded_seg_####.png segmentation_####.png "
        "distance_to_camera_####.npy distance_to_image_plane_####.npy "
        "distance_to_image_plane_####.png",
    )
    found = survey(tmp_path).scene()
    assert found.passes["segmentation"].label == "segmentation_####.png"
    assert found.passes["depth"].label == "distance_to_image_plane_####.npy"
    assert found.passes["depth"].meaning == "planar"
    assert found.ignored == (
        "distance_to_camera_####.npy (the distance to the image plane is there)",
        "distance_to_image_plane_####.png (its values are there as arrays)",
        "shaded_seg_####.png (a plain one is there)",
    )


@pytest.mark.parametrize("text", ["####.png", "shot.####.exr", "take.mp4"], ids=str)
def test_what_is_alone_and_is_called_nothing_is_the_colour(tmp_path: Path, text: str) -> None:
    assert told(survey(tree(tmp_path, text))) == {"": f"color={text}"}
    assert list(scenes_by_names(listing(tmp_path))) == [""]


def test_of_two_that_are_called_nothing_none_is_the_colour(tmp_path: Path) -> None:
    assert survey(tree(tmp_path, "a.####.png b.####.png")).scenes == ()
    other = tree(tmp_path / "normals", "normals.####.png")
    assert survey(other).scenes == ()


def test_why_the_first_picture_of_the_only_sequence_cannot_be_read_is_told(tmp_path: Path) -> None:
    tree(tmp_path, "shot.####.exr")
    (tmp_path / "shot.0000.exr").write_bytes(b"")
    with pytest.raises(MediaError, match=r"shot\.0000\.exr is empty"):
        survey(tmp_path).scene()


def test_a_broken_link_in_a_sequence_is_told_and_not_left_out(tmp_path: Path) -> None:
    renders.sequence(tmp_path, "color.%04d.png", renders.colour, range(3))
    (tmp_path / "color.0003.png").symlink_to("nowhere")
    color = find_passes(tmp_path)["color"]
    with pytest.raises(MediaError, match=r"There is no .*color\.0003\.png"):
        look_at([color])


def test_what_is_called_as_a_frame_and_can_never_be_read_is_told(tmp_path: Path) -> None:
    renders.sequence(tmp_path, "color.%04d.png", renders.colour, range(3))
    last = tmp_path / "color.0003.png"
    last.symlink_to(last.name)
    with pytest.raises(MediaError, match=r"color\.0003\.png cannot be read: Too many levels"):
        look_at([find_passes(tmp_path)["color"]])
    last.unlink()
    os.mkfifo(last)
    with pytest.raises(MediaError, match=r"color\.0003\.png is a pipe"):
        look_at([find_passes(tmp_path)["color"]])


def test_label_files_lie_beside_the_segmentation(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "rgb_####.png semantic_segmentation_####.png semantic_segmentation_labels_####.json "
        "bounding_box_2d_labels_####.json metadata.json",
    )
    beside = survey(tmp_path).scene().passes["segmentation"].beside
    assert [p.name for p in beside] == [
        f"semantic_segmentation_labels_000{n}.json" for n in range(FRAMES)
    ]


def test_of_two_candidates_one_can_be_asked_for(tmp_path: Path) -> None:
    tree(tmp_path, "rgb_####.png semantic_segmentation_####.png instance_segmentation_####.png")
    with pytest.raises(MediaError, match="--pass segmentation=") as refused:
        find_passes(tmp_path)
    assert "semantic_segmentation_####.png" in str(refused.value)
    found = survey(tmp_path, wanted={"segmentation": "instance_segmentation"}).scene()
    assert found.passes["segmentation"].label == "instance_segmentation_####.png"
    assert found.passes["segmentation"].why == "--pass segmentation=instance_segmentation"


def test_a_pass_that_is_asked_for_may_be_a_directory_of_each_scene(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "a/rgb/####.png a/segmentation/####.png a/shaded_seg/####.png "
        "b/rgb/####.png b/segmentation/####.png b/shaded_seg/####.png",
    )
    found = survey(tmp_path, wanted={"segmentation": "shaded_seg"})
    assert [s.passes["segmentation"].label for s in found.scenes] == [
        "a/shaded_seg/####.png",
        "b/shaded_seg/####.png",
    ]


def test_what_is_not_there_is_refused_and_the_nearest_is_offered(tmp_path: Path) -> None:
    tree(tmp_path, "rgb_####.png shaded_seg_####.png segmentation_####.png")
    with pytest.raises(MediaError, match=r"nothing called shaded_set .*It holds shaded_seg_####"):
        survey(tmp_path, wanted={"segmentation": "shaded_set"})


def test_a_scene_that_is_not_there_is_refused_and_the_nearest_is_offered(tmp_path: Path) -> None:
    found = survey(tree(tmp_path, TREES["left and right eyes"][0]))
    with pytest.raises(MediaError, match=r"holds no scene rihgt\. It holds right"):
        found.scene("rihgt")


def test_a_bad_scene_stops_no_other(tmp_path: Path) -> None:
    tree(tmp_path, "a/color.####.png b/color.####.png b/beauty.####.png c/color.####.png")
    (tmp_path / "c/color.00.png").touch()
    found = {one.name: one for one in survey(tmp_path).scenes}
    assert found["a"].wrong is None
    assert "2 candidates for the pass color" in str(found["b"].wrong)
    assert "both frame 0" in str(found["c"].wrong)


def test_a_pass_that_may_be_of_any_of_several_scenes_is_told(tmp_path: Path) -> None:
    tree(tmp_path, "color_a.####.png color_b.####.png depth.####.png")
    found = survey(tmp_path)
    assert told(found) == {"a": "color=color_a.####.png", "b": "color=color_b.####.png"}
    assert (
        "depth.####.png (it cannot be told of which of the scenes it is)" in found.scenes[0].ignored
    )


def test_a_directory_with_damaged_files_beside_scenes_is_one_that_cannot_be_used(
    tmp_path: Path,
) -> None:
    for clip in ("a", "b", "c"):
        for n in (1, 2):
            values = dict.fromkeys(("R", "G", "B", "Z"), np.ones((48, 64)) * n)
            exr_parts.write(tmp_path / clip / f"shot.{n:04}.exr", exr_parts.Part(values))
    for file in (tmp_path / "c").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    found = survey(tmp_path)
    assert [(one.name, bool(one.wrong)) for one in found.scenes] == [
        ("a", False), ("b", False), ("c", True)
    ]  # fmt: skip
    with pytest.raises(MediaError, match=r"c/shot\.0001\.exr"):
        found.scene("c")


def test_what_lies_beside_scenes_and_is_of_none_is_told_once(tmp_path: Path) -> None:
    for clip in ("a", "b"):
        renders.sequence(tmp_path / clip, "color.%04d.png", renders.colour)
        renders.sequence(tmp_path / clip, "depth.%04d.png", renders.distance)
    renders.video(tmp_path / "takes" / "old.mp4")
    found = survey(tmp_path)
    assert [one.ignored for one in found.scenes] == [(), ()]
    assert [str(one) for one in found.left] == [
        "takes/old.mp4 (nothing tells which pass it is, or of which scene)"
    ]


def test_a_prepared_scene_in_the_directory_is_no_part_of_it(tmp_path: Path) -> None:
    tree(tmp_path, "color.####.png made/color.mp4 made/scene.json")
    assert told(survey(tmp_path)) == {"": "color=color.####.png"}


@pytest.mark.parametrize("case", TREES, ids=lambda case: re.sub(r"\W+", "-", case))
def test_names_alone_tell_the_scenes_as_headers_do(tmp_path: Path, case: str) -> None:
    tree(tmp_path, TREES[case][0])
    assert list(scenes_by_names(listing(tmp_path))) == list(told(survey(tmp_path)))


def test_files_of_one_scene_are_told_from_those_of_another_by_names(tmp_path: Path) -> None:
    found = scenes_by_names(
        ["demo_0.mp4", "demo_0_depth.mp4", "demo_1.mp4", "demo_1_depth.mp4", "a.0001.exr"]
    )
    assert found["demo_0"] == {"demo_0.mp4", "demo_0_depth.mp4"}


def test_links_that_lead_back_and_what_lies_too_deep_are_not_followed(tmp_path: Path) -> None:
    tree(tmp_path, "a/color.####.png " + "x/" * (DEEP + 1) + "color.####.png")
    (tmp_path / "a/back").symlink_to(tmp_path)
    assert told(survey(tmp_path)) == {"a": "color=a/color.####.png"}


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("demo_0_cam_shaded_segmentation", "demo_0_cam"),
        ("shot010_color_ _v002", "shot010_v002"),
        ("leftDepth", "left"),
        ("Città_depth", "Città"),
        ("distance_to_camera_", ""),
        ("rgb", ""),
        ("FinalImage", ""),
    ],
)
def test_a_stem_is_a_name_without_the_words_of_passes(name: str, rest: str) -> None:
    assert words_of(name).rest == rest
