"""Directories become scenes once they are settled, and only once."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cosmos_pipelines.files import part_of
from cosmos_pipelines.runs.inputs import register_scene
from cosmos_pipelines.sensors.new_scenes import MARKER, new_scenes, scene_directories
from tests.media import renders
from tests.support.dagster_project import tick
from tests.support.project import Project


@pytest.fixture
def empty(staged: Project) -> Project:
    """No scene yet."""
    shutil.rmtree(staged.settings.inputs / "city")
    return staged


class Looks:
    """Looks of the sensor, one after the other."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance
        self.cursor: str | None = None

    def once(self) -> list[str]:
        """Keys of the scenes that this look requests."""
        result: Any
        result, self.cursor = tick(self.project, new_scenes, self.instance, self.cursor)
        if isinstance(result, dg.SkipReason):
            self.said = result.skip_message or ""
            return []
        return [request.partition_key for request in result.run_requests]


@pytest.fixture
def looks(empty: Project, instance: dg.DagsterInstance) -> Looks:
    return Looks(empty, instance)


def test_a_directory_is_taken_at_the_second_look_that_sees_it_the_same(
    empty: Project, looks: Looks
) -> None:
    empty.scene("city")
    assert looks.once() == []
    assert "not settled yet: city" in looks.said
    assert looks.once() == ["city"]
    assert looks.once() == []


def test_a_directory_that_is_still_written_is_not_taken(empty: Project, looks: Looks) -> None:
    color = empty.scene("city") / "color.mp4"
    whole = color.read_bytes()
    for part in (100, 200, 300):
        color.write_bytes(whole[:part])
        assert looks.once() == []
    color.write_bytes(whole)
    assert looks.once() == []
    assert looks.once() == ["city"]


def test_a_file_that_is_replaced_by_one_of_the_same_size_unsettles_its_directory(
    empty: Project, looks: Looks
) -> None:
    color = empty.scene("city") / "color.mp4"
    looks.once()
    os.utime(color, ns=(1, 1))
    assert looks.once() == []
    assert looks.once() == ["city"]


def test_a_marker_file_saves_the_second_look(empty: Project, looks: Looks) -> None:
    (empty.scene("city") / MARKER).touch()
    assert looks.once() == ["city"]


def test_nested_directories_have_their_path_as_key(empty: Project, looks: Looks) -> None:
    empty.scene("shots/night/city")
    empty.scene("square")
    looks.once()
    assert looks.once() == ["shots/night/city", "square"]


def test_registering_a_scene_does_not_make_it_look_new(empty: Project, looks: Looks) -> None:
    directory = empty.scene("city")
    looks.once()
    assert looks.once() == ["city"]
    register_scene(empty.catalog, empty.settings, directory)
    assert (looks.once(), looks.once()) == ([], [])


def test_what_is_being_prepared_in_a_directory_does_not_make_it_look_new(
    empty: Project, looks: Looks
) -> None:
    directory = renders.render(empty.settings.inputs / "city")
    looks.once()
    assert looks.once() == ["city"]
    staging = part_of(directory / ".prepare")
    staging.mkdir()
    part_of(staging / "color.mp4").touch()
    part_of(directory / "color.mp4").touch()
    assert looks.once() == []
    assert "not settled yet" not in looks.said


def test_a_scene_that_is_rendered_again_is_taken_again(empty: Project, looks: Looks) -> None:
    empty.scene("city")
    looks.once()
    looks.once()
    empty.scene("city", frames=8)
    looks.once()
    assert looks.once() == ["city"]


def test_an_unusable_scene_is_reported_once_and_looked_at_again_when_it_changes(
    empty: Project, looks: Looks
) -> None:
    directory = empty.scene("city")
    whole = (directory / "depth.mp4").read_bytes()
    (directory / "depth.mp4").write_bytes(whole[: len(whole) // 2])
    assert looks.once() == []
    assert looks.once() == []
    assert "1 unusable" in looks.said
    assert looks.once() == []
    (directory / "depth.mp4").write_bytes(whole)
    looks.once()
    assert looks.once() == ["city"]


def test_a_wrong_request_makes_a_scene_unusable(empty: Project, looks: Looks) -> None:
    (empty.scene("city") / "scene.toml").write_text("num_steps = 3\n")
    looks.once()
    assert looks.once() == []
    assert "1 unusable" in looks.said


def test_directories_that_hold_no_pictures_are_not_scenes(tmp_path: Path) -> None:
    for name in ("empty", "notes", ".hidden", "sequence/color", "video"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "notes" / "readme.txt").touch()
    (tmp_path / ".hidden" / "color.mp4").touch()
    (tmp_path / "sequence" / "color" / "color.0001.png").touch()
    (tmp_path / "video" / "color.mp4").touch()
    found = [d.name for d in scene_directories(tmp_path)]
    assert found == ["sequence", "video"]


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
    looks.once()
    assert looks.once() == ["city"]
    assert "1 unusable" in looks.said or looks.once() == []
    assert (empty.settings.home / "victim.txt").read_text() == "mine"


def test_a_directory_that_cannot_be_listed_hides_no_other(
    empty: Project, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may list everything: the system refuses here as it refuses others."""
    empty.scene("city")
    closed = empty.scene("closed")
    real = Path.iterdir

    def refuse(self: Path) -> Any:
        if self == closed:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    looks.once()
    assert looks.once() == ["city"]
