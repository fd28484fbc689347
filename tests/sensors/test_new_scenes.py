"""Directories become scenes once they are settled, and only once."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cosmos_pipelines.assets.partitions import SCENES
from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import part_of
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.demo_scene import render_demo
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.settling import MARKER
from cosmos_pipelines.runs.inputs import register_scene
from cosmos_pipelines.sensors.catalog_sync import catalog_sync
from cosmos_pipelines.sensors.looking import Looks as NewLooks
from cosmos_pipelines.sensors.new_scenes import new_scenes
from cosmos_pipelines.sensors.scene_memory import Memory
from tests.media import renders
from tests.support.counting import counting
from tests.support.dagster_project import materialize, tick
from tests.support.project import Project

SETTLE_S = 30
"""As the settings say where nothing else is said."""


@pytest.fixture
def empty(staged: Project) -> Project:
    """No scene yet."""
    shutil.rmtree(staged.settings.inputs / "city")
    return staged


class Looks:
    """Looks of the sensor, one after the other, at times that the test chooses."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance
        self.cursor: str | None = None
        self.time = time.time()

    def once(self, after_s: float = 1) -> list[str]:
        """Keys of the scenes that the next look takes."""
        self.time += after_s
        before = _taken(self.cursor)
        result: Any
        result, self.cursor = tick(self.project, new_scenes, self.instance, self.cursor)
        if isinstance(result, dg.SkipReason):
            self.said = result.skip_message or ""
            self.requested = []
        else:
            self.requested = [request.partition_key for request in result.run_requests]
        after = _taken(self.cursor)
        return sorted(name for name, look in after.items() if before.get(name) != look)

    def all(self, seconds: float, every: float = 1) -> list[str]:
        """What looks in the next seconds take."""
        return [key for _ in range(round(seconds / every)) for key in self.once(every)]


def _taken(cursor: str | None) -> dict[str, tuple[str, float]]:
    """How the scenes looked that were taken, and since when."""
    seen = Memory.of(cursor).seen
    return {name: (s.look, s.since) for name, s in seen.items() if s.state == "taken"}


@pytest.fixture
def looks(empty: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Looks:
    made = Looks(empty, instance)
    monkeypatch.setattr("cosmos_pipelines.sensors.settled.now", lambda: made.time)
    monkeypatch.setattr("cosmos_pipelines.sensors.new_scenes.TICK_S", 0)  # one look a tick
    return made


def written(directory: Path, first_s: float, every_s: float, *, now: float) -> None:
    """Give the frames of a directory the times of a render: one each `every_s`, the last at now.

    The first one took `first_s`.
    """
    for name in ("color", "depth", "segmentation"):
        files = sorted(directory.glob(f"{name}.*.png"))
        for i, path in enumerate(files):
            at = now - every_s * (len(files) - 1 - i) - (first_s if i == 0 else 0)
            os.utime(path, (at, at))


# Videos -----------------------------------------------------------------------------------------


def test_videos_with_a_whole_index_are_taken_when_they_stayed_the_same_for_a_second(
    empty: Project, looks: Looks
) -> None:
    empty.scene("city")
    assert looks.once() == []
    assert "not settled yet: city" in looks.said
    assert looks.once() == ["city"]
    assert looks.all(100, every=10) == []


def test_they_are_registered_in_the_tick_itself_with_what_they_ask_for(
    empty: Project, looks: Looks
) -> None:
    (empty.scene("city") / "scene.toml").write_text(
        'engine = "stand_in"\n[[prompt]]\ntext = "works"\n'
    )
    looks.once()
    looks.once()
    assert empty.catalog.get_scene("city").facts["color"]["frames"] == 6
    assert len(empty.catalog.queued_runs()) == 1


def test_a_video_that_is_still_written_is_not_taken(empty: Project, looks: Looks) -> None:
    color = empty.scene("city") / "color.mp4"
    whole = color.read_bytes()
    for part in (100, 200, 300):
        color.write_bytes(whole[:part])
        assert looks.all(20, every=5) == []
    color.write_bytes(whole)
    assert looks.once() == []
    assert looks.once() == ["city"]


def test_a_video_of_another_kind_waits_for_the_set_time(empty: Project, looks: Looks) -> None:
    directory = empty.scene("city")
    (directory / "depth.mp4").rename(directory / "depth.mov.mkv")
    assert looks.all(SETTLE_S - 2) == []


def test_a_frame_that_is_missing_in_one_pass_is_named(empty: Project, looks: Looks) -> None:
    directory = renders.render(empty.settings.inputs / "city")
    (directory / "depth.0004.png").unlink()
    (directory / MARKER).touch()
    assert looks.all(3) == []
    assert "color.####.png has 6, depth.####.png has 5" in looks.said
    assert "depth.####.png lacks 4." in looks.said


def test_passes_of_unequal_length_are_not_settled(empty: Project, looks: Looks) -> None:
    directory = empty.scene("city")
    renders.video(directory / "depth.mp4", frames=9)
    assert looks.all(3 * SETTLE_S, every=5) == []
    assert "color.mp4 has 6, depth.mp4 has 9" in looks.said
    renders.video(directory / "depth.mp4", frames=6)
    looks.once()
    assert looks.once() == ["city"]


# Sequences --------------------------------------------------------------------------------------


def test_a_sequence_is_taken_when_nothing_came_for_the_set_time(
    empty: Project, looks: Looks
) -> None:
    renders.render(empty.settings.inputs / "city")
    assert looks.all(SETTLE_S - 1) == []
    assert looks.all(3) == ["city"]


@pytest.mark.parametrize("every_s", [25, 240])
def test_a_render_whose_frames_take_long_is_not_cut_off(
    empty: Project, looks: Looks, every_s: int
) -> None:
    directory = empty.settings.inputs / "city"
    for frames in (2, 3, 4):
        renders.render(directory, frames=frames)
        written(directory, 0, every_s, now=looks.time)
        assert looks.all(2 * every_s, every=5) == []
    assert looks.all(1.2 * every_s, every=5) == ["city"]


def test_the_first_frame_alone_is_never_a_scene_by_itself(empty: Project, looks: Looks) -> None:
    directory = renders.render(empty.settings.inputs / "city", frames=1)
    assert looks.all(4000, every=100) == []
    assert "There is one frame only" in looks.said
    (directory / MARKER).touch()
    assert looks.once() == ["city"]


def test_a_render_that_was_interrupted_overnight_is_not_waited_for_as_long_again(
    empty: Project, looks: Looks
) -> None:
    directory = renders.render(empty.settings.inputs / "city")
    written(directory, 12 * 3600, 2, now=looks.time)
    assert looks.all(3500, every=500) == []
    assert looks.all(1000, every=100) == ["city"]


def test_a_file_that_is_replaced_by_one_of_the_same_size_unsettles_its_directory(
    empty: Project, looks: Looks
) -> None:
    directory = renders.render(empty.settings.inputs / "city")
    looks.all(SETTLE_S - 2)
    os.utime(directory / "color.0003.png", ns=(1, 1))
    assert looks.all(SETTLE_S - 2) == []


def test_passes_that_are_rendered_one_after_the_other_are_waited_for(
    empty: Project, looks: Looks
) -> None:
    directory = empty.settings.inputs / "city"
    renders.sequence(directory, "color.%04d.png", renders.colour)
    for number in range(1, 6):
        renders.sequence(directory, "depth.%04d.png", renders.distance, [number])
        assert looks.all(2 * SETTLE_S, every=5) == []
    assert f"color.####.png has 6, depth.####.png has {number}" in looks.said
    renders.sequence(directory, "depth.%04d.png", renders.distance)
    assert looks.all(2 * SETTLE_S, every=5) == ["city"]


def test_the_time_is_settable(
    empty: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSMOS_SCENES__SETTLE_S", "3")
    renders.render(empty.settings.inputs / "city")
    assert (looks.all(3), looks.all(2)) == ([], ["city"])


def test_old_files_are_taken_at_the_first_look(empty: Project, looks: Looks) -> None:
    renders.render(empty.settings.inputs / "city")
    assert looks.once(3600) == ["city"]


# What says that it is whole -----------------------------------------------------------------------


def test_a_marker_file_saves_the_waiting(empty: Project, looks: Looks) -> None:
    (renders.render(empty.settings.inputs / "city") / MARKER).touch()
    assert looks.once() == ["city"]


def test_a_marker_of_an_earlier_render_says_nothing_of_the_next(
    empty: Project, looks: Looks
) -> None:
    directory = renders.render(empty.settings.inputs / "city")
    (directory / MARKER).touch()
    assert looks.once() == ["city"]
    renders.save(directory / "color.0001.png", renders.colour(40))
    assert looks.all(SETTLE_S - 2) == []
    (directory / MARKER).touch()
    assert looks.once() == ["city"]


def test_the_declared_number_of_frames_is_waited_for_and_then_taken_at_once(
    empty: Project, looks: Looks
) -> None:
    directory = empty.settings.inputs / "city"
    renders.render(directory, frames=5)
    (directory / "scene.toml").write_text('frames = 6\nrun = false\n[[prompt]]\ntext = "a"\n')
    assert looks.all(3 * SETTLE_S, every=5) == []
    assert "Of the 6 frames that its scene.toml declares, color.####.png has 5" in looks.said
    renders.render(directory, frames=6)
    assert looks.once() == []
    assert looks.once() == ["city"]


def test_a_render_over_an_earlier_one_has_the_declared_number_all_the_time_and_is_waited_for(
    empty: Project, looks: Looks
) -> None:
    directory = renders.render(empty.settings.inputs / "city")
    (directory / "scene.toml").write_text('frames = 6\nrun = false\n[[prompt]]\ntext = "a"\n')
    looks.once()
    assert looks.once() == ["city"]
    for number in range(1, 4):
        renders.save(directory / f"color.{number:04d}.png", renders.colour(50 + number))
        assert looks.all(SETTLE_S - 2) == []
    assert looks.all(SETTLE_S) == ["city"]


def test_more_frames_than_declared_are_refused(empty: Project, looks: Looks) -> None:
    directory = renders.render(empty.settings.inputs / "city", frames=7)
    (directory / "scene.toml").write_text('frames = 6\nrun = false\n[[prompt]]\ntext = "a"\n')
    looks.all(3)
    assert "1 unusable" in looks.said


# Again ------------------------------------------------------------------------------------------


def test_a_scene_that_is_rendered_again_is_taken_again(empty: Project, looks: Looks) -> None:
    empty.scene("city")
    looks.all(3)
    empty.scene("city", frames=8)
    looks.once()
    assert looks.once() == ["city"]
    assert empty.catalog.get_scene("city").facts["color"]["frames"] == 8


def test_a_slow_render_over_an_earlier_one_is_not_cut_off(empty: Project, looks: Looks) -> None:
    """Its first frame gives no pace of its own: that of the render before counts."""
    directory = renders.render(empty.settings.inputs / "city", frames=3)
    written(directory, 0, 60, now=looks.time)
    assert looks.all(200, every=5) == ["city"]
    renders.save(directory / "color.0001.png", renders.colour(40))
    os.utime(directory / "color.0001.png", (looks.time, looks.time))
    assert looks.all(170, every=5) == []
    assert looks.all(30, every=5) == ["city"]


def test_registering_a_scene_does_not_make_it_look_new(empty: Project, looks: Looks) -> None:
    directory = renders.render(empty.settings.inputs / "city")
    assert looks.once(3600) == ["city"]
    register_scene(empty.catalog, empty.settings, directory)
    assert (directory / "color.mp4").is_file()
    assert looks.all(100, every=10) == []


def test_what_is_made_of_a_video_of_another_kind_does_not_make_it_look_new(
    empty: Project, looks: Looks
) -> None:
    directory = empty.settings.inputs / "city"
    renders.video(directory / "beauty.mp4")
    looks.once()
    assert looks.once() == ["city"]
    assert (directory / "color.mp4").is_file()
    assert looks.all(100, every=10) == []


def test_a_prepared_scene_that_is_brought_here_alone_is_watched_like_any_other(
    empty: Project, looks: Looks, tmp_path: Path
) -> None:
    source = renders.render(tmp_path / "renders")
    prepare_scene(source, tmp_path / "made")
    directory = Path(shutil.copytree(tmp_path / "made", empty.settings.inputs / "city"))
    whole = (directory / "color.mp4").read_bytes()
    (directory / "color.mp4").write_bytes(whole[:500])
    assert looks.all(10) == []
    (directory / "color.mp4").write_bytes(whole)
    assert looks.all(3) == ["city"]


def test_files_that_were_chosen_elsewhere_are_not_looked_for_in_the_prepared_scene(
    empty: Project, looks: Looks, tmp_path: Path
) -> None:
    source = renders.render(tmp_path / "renders")
    renders.sequence(source, "instance_seg.%04d.png", renders.segments)
    for number in (2, 4, 6):
        for file in source.glob(f"*.{number:04}.png"):
            file.unlink()
    asked = Asked(passes=("segmentation=instance_seg",), step=2)
    prepare_scene(source, tmp_path / "made", asked)
    shutil.copytree(tmp_path / "made", empty.settings.inputs / "city")
    assert looks.all(3) == ["city"]
    assert "nothing called" not in looks.said
    row = register_scene(empty.catalog, empty.settings, empty.settings.inputs / "city")
    assert {name: facts["frames"] for name, facts in row.facts.items()} == {
        "color": 3,
        "depth": 3,
        "segmentation": 3,
    }


def test_what_is_being_prepared_in_a_directory_does_not_make_it_look_new(
    empty: Project, looks: Looks
) -> None:
    directory = renders.render(empty.settings.inputs / "city")
    assert looks.once(3600) == ["city"]
    staging = part_of(directory / ".prepare")
    staging.mkdir()
    part_of(staging / "color.mp4").touch()
    part_of(directory / "color.mp4").touch()
    assert looks.once() == []
    assert "not settled yet" not in looks.said


def test_a_renamed_directory_is_taken_at_once_and_its_runs_are_not_made_twice(
    empty: Project, looks: Looks
) -> None:
    directory = empty.scene("city")
    (directory / "scene.toml").write_text('engine = "stand_in"\n[[prompt]]\ntext = "works"\n')
    looks.all(3)
    (run,) = empty.catalog.queued_runs()
    directory.rename(empty.settings.inputs / "town")
    assert looks.once() == ["town"]
    assert [row.key for row in empty.catalog.list_scenes()] == ["town"]
    assert empty.catalog.queued_runs() == [run]
    assert empty.catalog.get_prompt(str(run.prompt_id)).scene == "town"
    (empty.settings.inputs / "town").rename(directory)
    assert looks.once() == ["city"]
    assert empty.catalog.queued_runs() == [run]


# What cannot be used ------------------------------------------------------------------------------


def test_nested_directories_have_their_path_as_key(empty: Project, looks: Looks) -> None:
    empty.scene("shots/night/city")
    empty.scene("square")
    looks.once()
    assert looks.once() == ["shots/night/city", "square"]


def test_an_unusable_scene_is_reported_once_and_looked_at_again_when_it_changes(
    empty: Project, looks: Looks
) -> None:
    directory = empty.scene("city")
    whole = (directory / "depth.mp4").read_bytes()
    (directory / "depth.mp4").write_bytes(whole[: len(whole) // 2])
    assert looks.all(2 * SETTLE_S, every=5) == []
    assert "1 unusable" in looks.said
    (directory / "depth.mp4").write_bytes(whole)
    looks.once()
    assert looks.once() == ["city"]


def test_a_wrong_request_makes_a_scene_unusable(empty: Project, looks: Looks) -> None:
    (empty.scene("city") / "scene.toml").write_text("num_steps = 3\n")
    assert looks.all(3) == []
    assert "1 unusable" in looks.said


def test_a_directory_that_may_not_be_read_does_not_stop_the_others(
    empty: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cosmos_pipelines.sensors import settled as module

    empty.scene("a")
    empty.scene("b")
    real = module.find_scene

    def trouble(directory: Path, *asked: Any) -> Any:
        if directory.name == "a":
            raise OSError("the disk makes a noise")
        return real(directory, *asked)

    monkeypatch.setattr(module, "find_scene", trouble)
    looks.once()
    assert looks.once() == ["b"]
    assert "1 unusable" in looks.said or looks.all(2) == []


def test_what_was_refused_is_looked_at_again_after_a_restart(
    empty: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cosmos_pipelines.sensors import new_scenes as sensor
    from cosmos_pipelines.sensors import settled as module

    empty.scene("a")

    def unknown(*_: Any) -> Any:
        raise MediaError("an older version does not know this")

    with monkeypatch.context() as older:
        older.setattr(module, "find_scene", unknown)
        assert looks.all(4) == []
        assert "1 unusable" in looks.said
    assert looks.all(4) == []
    monkeypatch.setattr(sensor, "LOOKS", NewLooks())
    assert looks.all(3) == ["a"]


def test_no_inputs_directory_is_no_error(empty: Project, looks: Looks) -> None:
    shutil.rmtree(empty.settings.inputs)
    assert looks.once() == []


def test_names_that_are_no_utf_8_hide_no_other_scene(empty: Project, looks: Looks) -> None:
    empty.scene("city")
    empty.scene("caf\udce9")  # a byte of Latin-1
    (empty.scene("town") / "read me \udce9.txt").touch()
    looks.once()
    assert "caf" in looks.said
    assert looks.said.encode("utf-8")
    assert looks.once() == ["city", "town"]
    assert looks.once() == []


def test_links_in_a_circle_are_followed_once(empty: Project, looks: Looks) -> None:
    empty.scene("deep/city")
    (empty.settings.inputs / "deep" / "again").symlink_to(empty.settings.inputs)
    (empty.settings.inputs / "deep" / "self").symlink_to("self")
    looks.once()
    assert looks.once() == ["deep/city"]


def test_a_hostile_scene_json_is_reported_and_hides_no_other(empty: Project, looks: Looks) -> None:
    (empty.settings.home / "victim.txt").write_text("mine")
    bad = empty.settings.inputs / "bad"
    renders.sequence(bad, "color.%04d.png", renders.colour)
    entry = {"file": "../../../victim.txt", "made": "encoded"}
    record = {"created_by": "cosmos prepare 1", "passes": {"depth": entry}}
    (bad / "scene.json").write_text(json.dumps(record))
    empty.scene("city")
    assert looks.all(SETTLE_S + 5) == ["city"]
    assert "1 unusable" in looks.said
    assert (empty.settings.home / "victim.txt").read_text() == "mine"


def test_a_directory_that_cannot_be_listed_hides_no_other(
    empty: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may list everything: the system refuses here as it refuses others."""
    empty.scene("city")
    closed = empty.scene("closed")
    real = os.scandir

    def refuse(path: Any) -> Any:
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    looks.once()
    assert looks.once() == ["city"]


def test_what_an_earlier_version_remembered_is_forgotten(empty: Project, looks: Looks) -> None:
    looks.cursor = '{"city": {"look": "x", "state": "taken"}}'
    empty.scene("city")
    assert looks.all(3) == ["city"]


def test_a_tick_goes_on_looking_where_dagster_runs_sensors_in_threads(
    empty: Project, instance: dg.DagsterInstance
) -> None:
    """In real time: the directory is seen, seen again, and taken within one tick."""
    assert instance.get_sensor_settings()["use_threads"] is True
    empty.scene("city")
    result, _ = tick(empty, new_scenes, instance, None)
    assert result.skip_message.startswith("Registered city. ")
    assert [scene.key for scene in empty.catalog.list_scenes()] == ["city"]


# Prepared scenes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["in place", "numbered in steps", "brought here", "the demo's"])
def test_what_a_prepared_scene_asks_for_is_read(
    empty: Project, looks: Looks, tmp_path: Path, how: str
) -> None:
    directory = empty.settings.inputs / "city"
    if how == "brought here":
        prepare_scene(renders.render(tmp_path / "renders"), directory)
    elif how == "the demo's":
        render_demo(directory, frames=8, width=320, height=176)
    else:
        step = 5 if how == "numbered in steps" else 1
        renders.render(directory)
        for path in sorted(directory.iterdir(), reverse=True):
            name, number, end = path.name.split(".")
            path.rename(directory / f"{name}.{int(number) * step:04}.{end}")
        prepare_scene(directory, directory, Asked(step=step))
    (directory / "prompt.txt").write_text("A rainy street")
    assert "city" in looks.all(3600, every=600)
    if not empty.catalog.list_prompts():  # a Dagster run was asked for
        assert materialize(empty, looks.instance, SCENES, "city").success
    assert [prompt.text for prompt in empty.catalog.list_prompts()] == ["A rainy street"]


# Every directory has its answer -------------------------------------------------------------------


def test_each_directory_that_is_not_taken_is_named_with_the_reason(
    empty: Project, looks: Looks
) -> None:
    inputs = empty.settings.inputs
    renders.sequence(inputs / "depth only", "depth.%04d.png", renders.distance)
    renders.sequence(inputs / "still", "beauty%0.0s.png", renders.colour, range(1))
    (inputs / "pipe").mkdir()
    os.mkfifo(inputs / "pipe" / "color.mp4")
    (inputs / "lost").mkdir()
    (inputs / "lost" / "color.mp4").symlink_to("nowhere.mp4")
    (inputs / "broken").mkdir()
    (inputs / "broken" / "color.mp4").write_bytes(b"no video")
    nested = empty.scene("nested")
    (nested / "scene.json").write_text('{"a":' * 5000 + "1" + "}" * 5000)
    empty.scene("caf\udce9")
    empty.scene("whole")
    assert looks.all(120, every=10) == ["whole"]
    reasons = dict(line.split(": ", 1) for line in looks.said.splitlines()[1:])
    assert "has no color pass; it has depth.####.png." in reasons["depth only"]
    assert "no color pass; not recognised: beauty.png (no frame number)." in reasons["still"]
    assert "UTF-8" in reasons["caf\\udce9"]
    assert "video" in reasons["broken"]
    assert reasons["pipe"] == "color.mp4 is a pipe (FIFO), not a file."
    assert reasons["lost"] == "color.mp4 cannot be read: No such file or directory."
    assert set(reasons) == {"depth only", "still", "broken", "caf\\udce9", "nested", "pipe", "lost"}
    assert looks.all(60, every=10) == []
    assert dict(line.split(": ", 1) for line in looks.said.splitlines()[1:]) == reasons


def test_a_directory_that_vanishes_between_two_looks_stops_nothing(
    empty: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cosmos_pipelines.sensors import new_scenes as module

    gone, real = empty.scene("a"), module.look_at
    empty.scene("b")

    def vanishing(directory: Path, **more: Any) -> Any:
        if directory == gone and gone.exists():
            shutil.rmtree(gone)
        return real(directory, **more)

    monkeypatch.setattr(module, "look_at", vanishing)
    looks.once()
    assert looks.once() == ["b"]
    assert looks.said.startswith("Registered b. 1 scenes known, 0 unusable")


def test_more_scenes_than_a_tick_takes_are_taken_in_the_next_ones(
    empty: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmos_pipelines.sensors.scene_memory.A_TICK", 2)
    for n in range(5):
        empty.scene(f"s{n}")
    looks.once()
    with counting(empty.settings) as counts:
        assert looks.once() == ["s0", "s1"]
        assert counts["probe"] <= 2 * 7  # no more than those two are looked into
    assert [looks.once(), looks.once(), looks.once()] == [["s2", "s3"], ["s4"], []]


def test_of_many_bad_directories_each_is_looked_into_once_and_hides_no_scene(
    empty: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmos_pipelines.sensors.new_scenes.DECIDE_S", -1)  # one in a look
    for n in range(4):
        directory = empty.settings.inputs / f"a{n}"
        directory.mkdir()
        (directory / "color.mp4").write_bytes(b"no video")
        os.utime(directory / "color.mp4", (1, 1))
    empty.scene("city")
    assert looks.all(300, every=10) == ["city"]
    with counting(empty.settings) as counts:
        assert looks.once() == []
    assert counts["probe"] == 0
    assert "4 unusable" in looks.said


def test_while_nothing_changes_no_video_is_probed_and_the_catalog_is_not_asked(
    empty: Project, looks: Looks
) -> None:
    for n in range(12):
        empty.scene(f"s{n}")
    looks.all(3)
    cursor = looks.cursor
    with counting(empty.settings) as counts:
        assert looks.all(5) == []
    assert counts["probe"] == counts["statement"] == 0
    assert looks.cursor == cursor


def test_a_scene_of_videos_is_recorded_once_and_needs_no_dagster_run(
    empty: Project, looks: Looks
) -> None:
    empty.scene("city")
    assert looks.all(3) == ["city"]
    assert looks.requested == []
    found, _ = tick(empty, catalog_sync, looks.instance, None)
    assert isinstance(found, dg.SkipReason)
    records = looks.instance.fetch_materializations(SCENES, limit=5).records
    assert [record.partition_key for record in records] == ["city"]
    checks = looks.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(SCENES, "there")]
    )
    assert len(checks) == 1


def test_a_scene_of_videos_that_is_rendered_again_needs_no_dagster_run_either(
    empty: Project, looks: Looks
) -> None:
    empty.scene("city")
    looks.all(3)
    empty.scene("city", frames=7)
    looks.once()
    assert looks.once() == ["city"]
    assert looks.requested == []
    assert looks.said.startswith("Registered city.")
