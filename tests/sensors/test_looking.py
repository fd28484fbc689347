"""Scene directories are found each once, and a look costs what has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.settling import SceneLook, look_at
from cosmos_pipelines.sensors.looking import Found, Looks
from cosmos_pipelines.sensors.scene_tree import walk


def scene(place: Path, *files: str) -> Path:
    place.mkdir(parents=True)
    for name in files or ("color.mp4",):
        (place / name).touch()
    return place


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in walk(root).scenes]


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
    """Looks at the scenes below a root, and which directories were looked into."""

    def __init__(self, root: Path) -> None:
        self.root, self.looks, self.into = root, Looks(), list[str]()

    def once(self, *restless: Path, turn: float = -1, longest: float = 60) -> Found:
        self.into.clear()
        return self.looks.at(self.root, restless, self.look, turn, longest)

    def __call__(self, *restless: Path, turn: float = -1) -> list[str]:
        self.once(*restless, turn=turn)
        return list(self.into)

    def look(self, directory: Path) -> SceneLook:
        self.into.append(directory.name)
        return look_at(directory)


def test_a_directory_that_did_not_change_is_not_looked_into_again(tmp_path: Path) -> None:
    look, city = Counted(tmp_path), scene(tmp_path / "city", "color.0001.png")
    (city / "depth").mkdir()
    assert look() == ["city"]
    assert look() == []
    for name in ("color.0002.png", "depth/depth.0001.png"):
        (city / name).touch()
        assert look() == []  # nobody asked it in this turn
        found = look.looks.at(tmp_path, (), look.look, in_turn_s=60)
        assert found.looks[city].pictures == 2 + name.startswith("depth")
    assert look(city) == ["city"]


def test_new_scenes_are_found_at_once_and_those_that_are_gone_or_renamed_are_told(
    tmp_path: Path,
) -> None:
    look = Counted(tmp_path)
    scene(tmp_path / "shots" / "city")
    assert look() == ["city"]
    town = scene(tmp_path / "town")
    (tmp_path / "later" / "color").mkdir(parents=True)
    assert look() == ["town"]
    (tmp_path / "later" / "color" / "color.0001.png").touch()
    assert look() == ["later"]
    town.rename(tmp_path / "shots" / "village")
    found = look.once()
    assert {path.name for path in found.scenes or ()} == {"city", "village", "later"}
    assert look.into == ["village"]


def test_nothing_is_walked_through_or_looked_into_while_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(50):
        scene(tmp_path / f"group{n % 5}" / f"city{n}")
    look = Counted(tmp_path)
    assert len(look()) == 50
    monkeypatch.setattr("cosmos_pipelines.sensors.scene_tree.GRANULE_NS", 0)
    look.looks._walked = -1e9
    look()  # walks once more; the times are settled now
    listed: list[str] = []
    real = os.scandir

    def counted(path: Any) -> Any:
        listed.append(str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", counted)
    found = look.once()
    assert (found, look.into, listed) == (Found(), [], [])


def test_a_long_look_is_cut_off_and_goes_on_the_next_time(tmp_path: Path) -> None:
    for n in range(4):
        scene(tmp_path / f"city{n}")
    look = Counted(tmp_path)
    into = [name for _ in range(4) for name in [*look.once(longest=-1).looks]]
    assert [path.name for path in into] == ["city0", "city1", "city2", "city3"]


def test_files_that_are_overwritten_in_place_are_found_in_turn(tmp_path: Path) -> None:
    look = Counted(tmp_path)
    cities = [scene(tmp_path / f"city{n}") for n in range(5)]
    look()
    os.utime(cities[3] / "color.mp4", (1, 1))
    found = look.once(turn=60)
    assert found.looks[cities[3]].written_s == 1
    assert len(look.into) == 5


def test_those_that_were_not_looked_into_for_longest_come_first(tmp_path: Path) -> None:
    look = Counted(tmp_path)
    for n in range(3):
        scene(tmp_path / f"city{n}")
    look()
    seen: list[str] = []

    def slow(directory: Path) -> SceneLook:
        seen.append(directory.name)
        end = os.times().elapsed + 0.05
        while os.times().elapsed < end:
            pass
        return look_at(directory)

    for _ in range(3):
        look.looks.at(tmp_path, (), slow, in_turn_s=0.01)
    assert seen == ["city0", "city1", "city2"]


def test_a_directory_that_cannot_be_looked_at_is_told_and_the_others_are_looked_at(
    tmp_path: Path,
) -> None:
    cities = [scene(tmp_path / "a"), scene(tmp_path / "b")]

    def look(directory: Path) -> SceneLook:
        if directory.name == "a":
            raise MediaError("permission denied")
        return look_at(directory)

    found = Looks().at(tmp_path, (), look)
    assert found.failed == {cities[0]: "permission denied"}
    assert list(found.looks) == [cities[1]]
