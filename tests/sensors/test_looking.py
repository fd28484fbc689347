"""Scene directories are found each once, and a look costs what has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.settling import SceneLook, look_at
from cosmos_pipelines.sensors.looking import Looks, scene_directories


def scene(place: Path, *files: str) -> Path:
    place.mkdir(parents=True)
    for name in files or ("color.mp4",):
        (place / name).touch()
    return place


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in scene_directories(root)]


def test_directories_that_hold_no_pictures_are_not_scenes(tmp_path: Path) -> None:
    for name in ("empty", "notes", ".hidden", "sequence/color", "video", "a/b/deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "notes" / "readme.txt").touch()
    (tmp_path / ".hidden" / "color.mp4").touch()
    (tmp_path / "sequence" / "color" / "color.0001.png").touch()
    (tmp_path / "video" / "color.mp4").touch()
    (tmp_path / "a/b/deep" / "color.mp4").touch()
    assert names(tmp_path) == ["a/b/deep", "sequence", "video"]
    assert names(tmp_path / "nothing") == []


def test_a_scene_is_found_once_under_its_own_name_however_many_links_lead_to_it(
    tmp_path: Path,
) -> None:
    scene(tmp_path / "shots" / "city")
    (tmp_path / "a_first").symlink_to("shots/city")
    (tmp_path / "shots" / "latest").symlink_to("city")
    assert names(tmp_path) == ["shots/city"]


@pytest.mark.parametrize("target", [".", "..", "../..", "/", "archive", "nowhere", "archive/all"])
def test_links_that_lead_back_or_up_or_nowhere_are_not_followed(
    tmp_path: Path, target: str
) -> None:
    root = tmp_path / "inputs" / "videos"
    scene(root / "city")
    (root / "archive").mkdir()
    (root / "archive" / "all").symlink_to(target)
    (root / "all").symlink_to(target)
    assert names(root) == ["city"]


def test_links_to_scenes_elsewhere_are_followed(tmp_path: Path) -> None:
    scene(tmp_path / "disk" / "one")
    scene(tmp_path / "disk" / "more" / "two")
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "one").symlink_to(tmp_path / "disk" / "one")
    (tmp_path / "inputs" / "more").symlink_to(tmp_path / "disk" / "more")
    assert names(tmp_path / "inputs") == ["more/two", "one"]


class Counted:
    """Looks, and which directories were looked into."""

    def __init__(self) -> None:
        self.looks, self.into = Looks(), list[str]()

    def __call__(self, *directories: Path, restless: bool = False, turn: float = 0) -> list[str]:
        self.into.clear()
        every = list(directories)
        self.looks.at(every, every if restless else [], self.look, turn)
        return list(self.into)

    def look(self, directory: Path) -> SceneLook:
        self.into.append(directory.name)
        return look_at(directory)


def test_a_directory_that_did_not_change_is_not_looked_into_again(tmp_path: Path) -> None:
    look, city = Counted(), scene(tmp_path / "city", "color.0001.png")
    (city / "depth").mkdir()
    assert look(city, turn=-1) == ["city"]
    assert look(city, turn=-1) == []
    (city / "color.0002.png").touch()
    assert look(city, turn=-1) == ["city"]
    (city / "depth" / "depth.0001.png").touch()
    assert look(city, turn=-1) == ["city"]
    assert look(city, turn=-1) == []
    assert look(city, restless=True, turn=-1) == ["city"]


def test_files_that_are_overwritten_in_place_are_found_in_turn(tmp_path: Path) -> None:
    look = Counted()
    cities = [scene(tmp_path / f"city{n}") for n in range(5)]
    look(*cities)
    os.utime(cities[3] / "color.mp4", (1, 1))
    stamps = look.looks.at(cities, [], look.look, in_turn_s=60)
    assert stamps[cities[3]].written_s == 1
    assert len(look.into) == 10


def test_those_that_were_not_looked_into_for_longest_come_first(tmp_path: Path) -> None:
    look = Counted()
    cities = [scene(tmp_path / f"city{n}") for n in range(3)]
    look(*cities)
    seen: list[str] = []

    def slow(directory: Path) -> SceneLook:
        seen.append(directory.name)
        end = os.times().elapsed + 0.02
        while os.times().elapsed < end:
            pass
        return look_at(directory)

    for _ in range(3):
        look.looks.at(cities, [], slow, in_turn_s=0.001)
    assert seen == ["city0", "city1", "city2"]


def test_a_directory_that_cannot_be_looked_at_is_left_out_and_the_others_are_not(
    tmp_path: Path,
) -> None:
    cities = [scene(tmp_path / "a"), scene(tmp_path / "b")]

    def look(directory: Path) -> SceneLook:
        if directory.name == "a":
            raise MediaError("permission denied")
        return look_at(directory)

    assert list(Looks().at(cities, [], look)) == [cities[1]]
