"""A directory with several scenes: each is settled, taken and made by itself."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from cosmos_pipelines.assets.partitions import SCENES
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.runs.inputs import prepare
from cosmos_pipelines.sensors import new_scenes as module
from cosmos_pipelines.sensors import settled
from cosmos_pipelines.sensors.scene_tree import walk
from tests.media import renders
from tests.media.exr_parts import Part, by_hand
from tests.media.lerobot import write_v2
from tests.sensors.test_new_scenes import Looks, empty, looks
from tests.support.counting import counting
from tests.support.dagster_project import materialize
from tests.support.project import Project

__all__ = ["empty", "looks"]


def demonstrations(directory: Path, *numbers: int) -> Path:
    """What Isaac Lab writes, one camera each."""
    for n in numbers:
        renders.video(directory / f"demo_{n}_cam.mp4")
        renders.video(directory / f"demo_{n}_cam_depth.mp4")
    return directory


def aged(directory: Path, seconds: float) -> None:
    """Give all files of a directory an older time."""
    for file in directory.rglob("*.*"):
        then = file.stat().st_mtime - seconds
        os.utime(file, (then, then))


def test_a_drop_of_ten_clips_is_ten_scenes_each_with_a_dagster_run(
    empty: Project, looks: Looks, instance: dg.DagsterInstance
) -> None:
    drop = demonstrations(empty.settings.inputs / "drop", *range(10))
    looks.once()
    names = [f"drop/demo_{n}_cam" for n in range(10)]
    assert looks.once() == names
    assert sorted(looks.requested) == names
    assert materialize(empty, instance, SCENES, names[3])
    scene = empty.catalog.get_scene(names[3])
    assert set(scene.facts) == {"color", "depth"}
    assert (drop / "demo_3_cam" / "scene.json").is_file()
    assert looks.all(20, every=5) == []  # what was made is no new render


def test_one_that_is_bad_or_not_yet_whole_stops_no_other(empty: Project, looks: Looks) -> None:
    drop = demonstrations(empty.settings.inputs / "drop", 0, 1, 2)
    renders.video(drop / "demo_1_cam_depth.mp4", frames=4)
    (drop / "demo_2_cam.mp4").write_bytes(b"no video")
    looks.once()
    assert looks.once() == ["drop/demo_0_cam"]
    looks.all(60, every=20)
    assert "drop/demo_2_cam: " in looks.said
    assert "demo_1_cam.mp4 has 6, demo_1_cam_depth.mp4 has 4" in looks.said
    renders.video(drop / "demo_1_cam_depth.mp4", frames=6)
    looks.once()
    assert looks.once() == ["drop/demo_1_cam"]


def test_a_clip_that_comes_later_is_taken_alone(empty: Project, looks: Looks) -> None:
    drop = demonstrations(empty.settings.inputs / "drop", 0)
    looks.once()
    assert looks.once() == ["drop/demo_0_cam"]
    demonstrations(drop, 1)
    looks.once()
    assert looks.once() == ["drop/demo_1_cam"]
    (drop / "demo_0_cam.mp4").unlink()
    (drop / "demo_0_cam_depth.mp4").unlink()
    assert looks.all(3) == []
    assert "1 scenes known" in looks.said


def test_sequences_of_several_cameras_are_each_waited_for(empty: Project, looks: Looks) -> None:
    shot = empty.settings.inputs / "shot"
    for camera in ("left", "right"):
        renders.sequence(shot, f"color_{camera}.%04d.png", renders.colour, range(1, 4))
    aged(shot, 4000)
    renders.sequence(shot, "color_right.%04d.png", renders.colour, range(4, 5))
    assert looks.all(40, every=5) == ["shot/left"]
    assert looks.all(40, every=20) == []  # the pace of the right one is one frame in 4000 s
    assert "not settled yet: shot/right" in looks.said


def test_the_frames_that_a_shared_request_declares_count_for_each_scene(
    empty: Project, looks: Looks, instance: dg.DagsterInstance
) -> None:
    drop = demonstrations(empty.settings.inputs / "drop", 0, 1)
    renders.video(drop / "demo_1_cam.mp4", frames=4)
    renders.video(drop / "demo_1_cam_depth.mp4", frames=4)
    text = 'engine = "stand_in"\nframes = 6\n[[prompt]]\ntext = "works"\n'
    (drop / "scene.toml").write_text(text)
    looks.once()
    assert looks.once() == ["drop/demo_0_cam"]
    assert materialize(empty, instance, SCENES, "drop/demo_0_cam")
    (prompt,) = empty.catalog.list_prompts(scene="drop/demo_0_cam")
    assert prompt.text == "works"


def test_one_clip_that_is_rendered_again_is_taken_again_and_no_other_is_looked_into(
    empty: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop = demonstrations(empty.settings.inputs / "drop", 0, 1, 2)
    looks.once()
    looks.once()
    renders.video(drop / "demo_1_cam.mp4", picture=renders.segments)
    decided: list[str] = []
    real = settled.decide

    def decide(*args: object, **more: object) -> bool:
        decided.append(str(more["scene"]))
        return real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(module.settled, "decide", decide)
    with counting(empty.settings) as counts:
        looks.once()
    assert looks.all(45, every=15) == ["drop/demo_1_cam"]
    assert set(decided) == {"demo_1_cam"}
    assert counts["probe"] == 0


def test_passes_that_lie_below_versions_are_one_directory_of_scenes(
    empty: Project, looks: Looks
) -> None:
    shot = empty.settings.inputs / "show" / "shot"
    for version in ("v001", "v002"):
        renders.sequence(shot, f"beauty/{version}/a.%04d.png", renders.colour)
        renders.sequence(shot, f"depth/{version}/a.%04d.png", renders.distance)
    assert walk(empty.settings.inputs).scenes == [shot]
    (shot / "scene.ready").touch()
    assert looks.once() == ["show/shot/v001/a", "show/shot/v002/a"]


def test_a_lerobot_data_set_is_told_and_only_its_prepared_episodes_are_scenes(
    empty: Project, looks: Looks
) -> None:
    cups = write_v2(empty.settings.inputs / "cups")
    assert looks.all(60, every=20) == []
    assert "cups: It is a LeRobot data set: `cosmos prepare DIR --plan`" in looks.said
    prepare(empty.catalog, empty.settings, cups, asked=Asked(scene="episode_000000_top"))
    assert walk(empty.settings.inputs).scenes == [cups / "episode_000000_top"]


def test_a_clip_that_was_prepared_beside_other_media_is_still_watched(
    empty: Project, looks: Looks, instance: dg.DagsterInstance
) -> None:
    shoot = empty.settings.inputs / "shoot"
    clips = ("clip_0000", "clip_0001")
    for clip in clips:
        renders.sequence(shoot / clip, "color.%04d.png", renders.colour)
    renders.video(shoot / "preview.mp4")
    assert walk(empty.settings.inputs).scenes == [shoot]
    assert looks.all(60, every=5) == [f"shoot/{clip}" for clip in clips]
    for clip in clips:
        assert materialize(empty, instance, SCENES, f"shoot/{clip}")
    assert {one.key for one in empty.catalog.list_scenes()} == {f"shoot/{clip}" for clip in clips}
    looks.all(120, every=10)
    assert "2 scenes known" in looks.said
    assert looks.all(60, every=10) == []
    renders.sequence(shoot / "clip_0001", "color.%04d.png", renders.segments)
    assert looks.all(60, every=10) == ["shoot/clip_0001"]
    assert looks.all(60, every=10) == []


def test_eyes_in_one_exr_are_told_with_the_command_that_makes_a_scene_of_each(
    empty: Project, looks: Looks
) -> None:
    shot = empty.settings.inputs / "shot"
    shot.mkdir()
    near, far = (np.full((48, 64), value, np.float32) for value in (0.2, 0.6))
    for i in range(2):
        slope = np.linspace(1, 9 + i, 48, dtype=np.float32)[:, None] + np.zeros((48, 64), "f4")
        eyes = {"R": near, "G": near, "B": near, "Z": slope}
        eyes |= {"right.R": far, "right.G": far, "right.B": far, "right.Z": 2 * slope}
        part = Part(eyes, dict.fromkeys(eyes, "float"), attributes={"multiView": ("left", "right")})
        (shot / f"a.{i:04}.exr").write_bytes(by_hand(part))
    (shot / "scene.ready").touch()
    assert looks.all(60, every=10) == []
    assert f"(a/left, a/right): `cosmos prepare {shot}` makes all of them" in looks.said
    white = []
    for eye in ("a/left", "a/right"):
        made = prepare(empty.catalog, empty.settings, shot, asked=Asked(scene=eye))
        assert made["key"] == f"shot/{eye}"
        white.append(made["passes"]["depth"]["depth"]["value_of_white"])
    assert white == [1, 2]
