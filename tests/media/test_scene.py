from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.scene import load_scene
from cosmos_pipelines.media.sequence import find_passes
from tests.media import renders


def test_a_directory_of_videos_is_a_scene_without_scene_json(tmp_path: Path) -> None:
    renders.video(tmp_path / "city/color.mp4")
    renders.video(tmp_path / "city/depth.mp4")
    scene = load_scene(tmp_path / "city")
    assert (scene.name, scene.description, scene.color.frames) == ("city", None, 6)
    assert scene.sha256["depth"] == sha256_of(tmp_path / "city/depth.mp4")
    assert scene.facts()["passes"]["color"]["file"] == "color.mp4"
    json.dumps(scene.facts())


def test_videos_named_as_renderers_do_are_found_beside_exact_names(tmp_path: Path) -> None:
    renders.video(tmp_path / "shot_beauty.mp4")
    renders.video(tmp_path / "depth.mp4")
    assert list(load_scene(tmp_path).passes) == ["color", "depth"]


def test_the_digest_is_of_the_contents_not_of_place_or_time(tmp_path: Path) -> None:
    for place in ("a", "b", "c"):
        renders.video(tmp_path / place / "color.mp4", frames=5 if place == "c" else 6)
    os.utime(tmp_path / "b/color.mp4", (1, 1))
    digests = [load_scene(tmp_path / place).digest for place in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_a_scene_without_color_says_what_it_has(tmp_path: Path) -> None:
    renders.video(tmp_path / "depth.mp4")
    with pytest.raises(MediaError, match=r"has no color\.mp4: .* It has depth"):
        load_scene(tmp_path)


def test_sequences_that_are_not_prepared_are_told_how(tmp_path: Path) -> None:
    renders.render(tmp_path, frames=1)
    with pytest.raises(MediaError, match="run `cosmos prepare"):
        load_scene(tmp_path)


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        ({"frames": 5}, "differ in length: color.mp4 6 frames, depth.mp4 5 frames"),
        ({"width": 32}, "differ in size: color.mp4 64x48, depth.mp4 32x48"),
        ({"fps": 30}, "differ in rate: color.mp4 24 frames a second, depth.mp4 30"),
    ],
)
def test_passes_that_differ_are_refused(tmp_path: Path, depth: dict[str, int], said: str) -> None:
    renders.video(tmp_path / "color.mp4")
    renders.video(tmp_path / "depth.mp4", **depth)
    with pytest.raises(MediaError) as e:
        load_scene(tmp_path)
    assert said in str(e.value)


def test_a_truncated_pass_is_named(tmp_path: Path) -> None:
    renders.video(tmp_path / "color.mp4")
    data = (tmp_path / "color.mp4").read_bytes()
    (tmp_path / "depth.mp4").write_bytes(data[:-200])
    with pytest.raises(MediaError, match=r"depth\.mp4 is truncated: 200 bytes"):
        load_scene(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\x00"])
def test_a_broken_scene_json_is_one_line(tmp_path: Path, text: str) -> None:
    renders.video(tmp_path / "color.mp4")
    (tmp_path / "scene.json").write_text(text)
    with pytest.raises(MediaError, match=r"scene\.json is no"):
        load_scene(tmp_path)


def test_a_scene_json_of_other_origin_gives_its_name(tmp_path: Path) -> None:
    renders.video(tmp_path / "color.mp4")
    (tmp_path / "scene.json").write_text('{"name": "Town", "description": "x", "passes": 3}')
    scene = load_scene(tmp_path)
    assert (scene.name, scene.description) == ("Town", "x")


def test_what_was_prepared_in_place_is_no_second_candidate(tmp_path: Path) -> None:
    scene = renders.render(tmp_path / "city")
    prepare_scene(scene, scene)
    assert {p.kind for p in find_passes(scene).values()} == {"png"}
    assert load_scene(scene).color.path.name == "color.mp4"


def test_a_command_in_a_hint_can_be_typed_where_the_path_has_a_blank(tmp_path: Path) -> None:
    town = tmp_path / "old town"
    renders.sequence(town, "color.%04d.png", renders.colour)
    with pytest.raises(MediaError) as refused:
        load_scene(town)
    (command,) = re.findall("`(.*?)`", str(refused.value))
    assert shlex.split(command) == ["cosmos", "prepare", str(town)]
