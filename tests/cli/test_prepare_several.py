"""`cosmos prepare` of a directory with several scenes, and its plan."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cosmos, on_terminal
from tests.media import renders
from tests.media.lerobot import many_episodes
from tests.support.project import Project


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """Three clips of Isaac Lab; the depth of the second is no video."""
    directory = tmp_path / "drop"
    for n in range(3):
        renders.video(directory / f"demo_{n}_cam.mp4")
        renders.video(directory / f"demo_{n}_cam_depth.mp4")
    (directory / "demo_1_cam_depth.mp4").write_bytes(b"no video")
    return directory


def test_each_scene_is_made_and_one_that_is_bad_is_told_and_stops_no_other(
    project: Project, cosmos: Cosmos, drop: Path
) -> None:
    said = cosmos("prepare", drop)
    assert said.code == 2
    made = project.settings.inputs / "drop"
    assert said.out.splitlines() == [str(made / "demo_0_cam"), str(made / "demo_2_cam")]
    assert "demo_1_cam: " in said.error
    assert "demo_1_cam_depth.mp4 is not a video" in said.error
    assert sorted(p.name for p in made.iterdir()) == ["demo_0_cam", "demo_2_cam"]
    again = cosmos("prepare", drop, "--json")
    assert [one.get("unchanged") for one in again.json] == [True, None, True]
    assert again.json[1]["error"]


def test_what_is_of_no_scene_is_told_when_the_scenes_are_made(
    project: Project, cosmos: Cosmos, tmp_path: Path
) -> None:
    clips = tmp_path / "clips"
    for clip in ("a", "b"):
        renders.sequence(clips / clip, "color.%04d.png", renders.colour)
    renders.sequence(clips / "damaged", "shot.%04d.tif", renders.colour)
    for file in (clips / "damaged").iterdir():
        file.write_bytes(b"no picture")
    renders.video(clips / "takes" / "old.mp4")
    (clips / "alone").mkdir()
    shutil.copy(clips / "a" / "color.0001.png", clips / "alone" / "beauty.png")
    said = cosmos("prepare", clips)
    assert said.code == 2
    assert len(project.catalog.list_scenes()) == 2
    assert "ignored: takes/old.mp4 (nothing tells" in said.err
    assert "ignored: alone/beauty.png (no frame number)" in said.err
    (first, *_) = cosmos("prepare", clips, "--plan", "--json").json
    assert {"files": "alone/beauty.png (no frame number)", "why": ""} in first["ignored"]
    assert "damaged: " in said.error
    assert "damaged/shot.0001.tif is not a TIFF picture" in said.error


def test_one_scene_is_taken_by_its_name_and_a_wrong_name_is_refused(
    project: Project, cosmos: Cosmos, drop: Path
) -> None:
    assert cosmos("prepare", drop, "--scene", "demo_2_cam").code == 0
    assert (project.settings.inputs / "drop" / "demo_2_cam" / "color.mp4").is_file()
    said = cosmos("prepare", drop, "--scene", "demo_9_cam")
    assert said.code == 2
    assert "holds no scene demo_9_cam. It holds demo_" in said.error


def test_the_plan_is_a_table_and_writes_nothing(
    project: Project, cosmos: Cosmos, drop: Path
) -> None:
    said = cosmos("prepare", drop, "--plan")
    assert said.code == 2
    assert "demo_1_cam_depth.mp4 is not a video" in said.error
    title, *rows = said.out.splitlines()
    assert title.split() == ["SCENE", "PASS", "FILES", "FRAMES", "SIZE", "VALUES", "WHY"]
    assert len(rows) == 6
    assert rows[1].split()[:5] == ["demo_0_cam", "depth", "demo_0_cam_depth.mp4", "6", "64x48"]
    assert rows[1].endswith("its name says depth")
    plans = cosmos("prepare", drop, "--plan", "--json").json
    assert [plan["scene"] for plan in plans] == ["demo_0_cam", "demo_1_cam", "demo_2_cam"]
    assert not (project.settings.inputs / "drop").exists()
    assert project.catalog.list_scenes() == []


def test_a_pass_is_chosen_where_two_could_be_meant(
    project: Project, cosmos: Cosmos, tmp_path: Path
) -> None:
    shot = tmp_path / "shot"
    renders.sequence(shot, "rgb_%04d.png", renders.colour)
    for kind in ("semantic", "instance"):
        renders.sequence(shot, f"{kind}_segmentation_%04d.png", renders.segments)
    said = cosmos("prepare", shot)
    assert said.code == 2
    assert "`--pass segmentation=instance_segmentation`" in said.error
    assert cosmos("prepare", shot, "--pass", "segmentation=instance_segmentation").code == 0
    scene = project.catalog.get_scene("shot")
    assert set(scene.facts) == {"color", "segmentation"}
    said = cosmos("prepare", shot, "--pass", "segmentation=instanc_segmentation")
    assert "It holds instance_segmentation_####.png" in said.error


def test_the_plan_fits_a_narrow_terminal(project: Project, drop: Path) -> None:
    said = on_terminal(project, "prepare", str(drop), "--plan", columns=72)
    lines = said.out.replace("\r", "").splitlines()
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith("error: "))]
    assert max(map(len, table)) <= 72
    assert table[:5] == [
        "demo_0_cam",
        "  color         demo_0_cam.mp4",
        "                6 frames, 64x48, h264 yuv420p; it is called as the",
        "                others, without a word of a pass",
        "  depth         demo_0_cam_depth.mp4",
    ]
    assert table.count("                6 frames, 64x48, h264 yuv420p; its name says depth") == 2
    wide = on_terminal(project, "prepare", str(drop), "--plan", columns=160)
    assert "FRAMES" in wide.out


def test_how_many_scenes_there_are_is_told_before_they_are_made(cosmos: Cosmos, drop: Path) -> None:
    first, *rest = cosmos("prepare", drop).err.splitlines()
    assert first == (
        f"{drop} holds 3 scenes: demo_0_cam, demo_1_cam, demo_2_cam. All are prepared; "
        "`--scene NAME` prepares one."
    )
    assert "demo_2_cam: depth: 1/1" in rest


def test_scenes_are_chosen_by_a_pattern(project: Project, cosmos: Cosmos, drop: Path) -> None:
    plans = cosmos("prepare", drop, "--scene", "demo_[!1]*", "--plan", "--json").json
    assert [plan["scene"] for plan in plans] == ["demo_0_cam", "demo_2_cam"]
    said = cosmos("prepare", drop, "--scene", "*_[02]_cam*")
    assert said.code == 0
    made = project.settings.inputs / "drop"
    assert said.out.splitlines() == [str(made / "demo_0_cam"), str(made / "demo_2_cam")]
    for more in ((), ("--plan",)):
        wrong = cosmos("prepare", drop, "--scene", "demo_9*", *more)
        assert wrong.code == 2
        assert wrong.error == (
            "error: No scene is called 'demo_9*'. There are demo_0_cam, demo_1_cam, demo_2_cam."
        )


def test_many_scenes_are_made_only_when_all_are_asked_for(
    project: Project, cosmos: Cosmos, tmp_path: Path
) -> None:
    data = many_episodes(tmp_path / "cups", 21)
    said = cosmos("prepare", data)
    assert said.code == 2
    assert f"{data} holds 21 scenes: episode_000000_top, episode_000001_top, episode" in said.error
    assert "Say which: `--scene episode_000000_top`, several with * and ? in it" in said.error
    assert "or all with `--all`. `--plan` shows them." in said.error
    assert not (project.settings.inputs / "cups").exists()
    few = cosmos("prepare", data, "--scene", "episode_00001?_top")
    assert (few.code, len(few.out.splitlines())) == (0, 10)
    everything = cosmos("prepare", data, "--all")
    assert (everything.code, len(everything.out.splitlines())) == (0, 21)


def test_a_pass_is_chosen_by_one_word_of_its_name(cosmos: Cosmos, tmp_path: Path) -> None:
    shot = tmp_path / "shot"
    renders.sequence(shot, "rgb_%04d.png", renders.colour)
    for kind in ("semantic", "instance", "instance_id"):
        renders.sequence(shot, f"{kind}_segmentation_%04d.png", renders.segments)

    def taken(word: str) -> str | None:
        (plan,) = cosmos("prepare", shot, "--plan", "--json", "--pass", f"segmentation={word}").json
        passes = {one["pass"]: one["files"] for one in plan["passes"]}
        return plan["wrong"] or passes["segmentation"]

    assert taken("semantic") == "semantic_segmentation_####.png"
    assert taken("instance_segmentation") == "instance_segmentation_####.png"
    both = "instance_id_segmentation_####.png and instance_segmentation_####.png"
    assert both in taken("instance")


def test_a_directory_that_holds_scenes_is_told_where_one_is_to_be_named(
    cosmos: Cosmos, drop: Path
) -> None:
    cosmos("prepare", drop)
    said = cosmos("create", "prompt", "A street", "drop")
    assert said.code == 2
    assert said.error == (
        "error: 'drop' is no scene, but holds scenes. Name one: drop/demo_0_cam, drop/demo_2_cam."
    )
    assert cosmos("create", "prompt", "A street", "drop/demo_0_cam").code == 0


def test_a_scene_is_shown_by_its_directory_too(
    project: Project, cosmos: Cosmos, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosmos("prepare", drop)
    monkeypatch.chdir(project.settings.home)
    for name in ("drop/demo_0_cam", "inputs/videos/drop/demo_0_cam/"):
        assert cosmos("show", name, "--json").json["key"] == "drop/demo_0_cam"
    assert cosmos("show", "inputs/videos/drop/demo_1_cam").code == 2
