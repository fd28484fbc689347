"""One episode and camera of a LeRobot data set is the colour of a scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.lerobot.dataset import INFO, is_data_set, read_data_set
from cosmos_pipelines.media.lerobot.episode import Episode, episodes_of
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.sequence import survey
from tests.media.lerobot import CAMERA, LENGTHS, TASKS, write_v2, write_v3

FIRST = "episode_000000_top"


def episode(root: Path, name: str) -> Episode:
    return {one.name: one for one in episodes_of(read_data_set(root))}[name]


def test_an_episode_of_version_2_is_a_video_of_its_own(tmp_path: Path) -> None:
    root = write_v2(tmp_path / "cups")
    assert is_data_set(root)
    video = root / f"videos/chunk-000/{CAMERA}/episode_000001.mp4"
    assert episode(root, "episode_000001_top") == Episode(1, CAMERA, LENGTHS[1], TASKS[1], video, 0)


def test_an_episode_of_version_3_is_a_part_of_a_video(tmp_path: Path) -> None:
    root = write_v3(tmp_path / "cups")
    video = root / f"videos/{CAMERA}/chunk-000/file-000.mp4"
    assert list(episodes_of(read_data_set(root))) == [
        Episode(0, CAMERA, LENGTHS[0], TASKS[0], video, 0),
        Episode(1, CAMERA, LENGTHS[1], TASKS[1], video, LENGTHS[0]),
    ]


def test_a_video_of_depth_is_no_colour_of_a_scene(tmp_path: Path) -> None:
    root = write_v2(tmp_path / "cups", ("observation.images.head_depth",))
    file = root / "meta/info.json"
    said = json.loads(file.read_text())
    said["features"]["observation.images.head_depth"]["info"] = {"video.is_depth_map": True}
    file.write_text(json.dumps(said))
    assert [one.name for one in survey(root).scenes] == [FIRST, "episode_000001_top"]


def test_an_episode_becomes_a_scene_of_the_frames_that_are_its_own(tmp_path: Path) -> None:
    root = write_v3(tmp_path / "cups")
    made = prepare_scene(root, tmp_path / "city", Asked(scene="episode_000001_top"))
    assert (made["frames"], made["fps"], made["task"]) == (LENGTHS[1], "30", TASKS[1])
    assert made["description"] == TASKS[1]
    shown = list(pictures_of(tmp_path / "city/color.mp4"))
    whole = list(pictures_of(root / f"videos/{CAMERA}/chunk-000/file-000.mp4"))[LENGTHS[0] :]
    for got, want in zip(shown, whole, strict=True):
        assert np.abs(got.astype(int) - want).mean() < 3
    again = prepare_scene(root, tmp_path / "city", Asked(scene="episode_000001_top"))
    assert again["unchanged"]


def test_each_episode_of_each_camera_is_a_scene(tmp_path: Path) -> None:
    root = write_v2(tmp_path / "cups", (CAMERA, "observation.images.wrist"))
    assert [one.name for one in survey(root).scenes] == [
        "episode_000000_top",
        "episode_000000_wrist",
        "episode_000001_top",
        "episode_000001_wrist",
    ]
    with pytest.raises(MediaError, match="holds no scene episode_000001_writs") as refused:
        survey(root).scene("episode_000001_writs")
    assert "episode_000001_wrist" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"codebase_version": "v1.6"}, "codebase_version"),
        ({"fps": 0}, "fps"),
        ({"video_path": "../../{video_key}.mp4"}, "leads out of the data set"),
        ({"video_path": "{other}.mp4"}, "unknown {other}"),
        ({"video_path": None}, "has no videos"),
        ({"features": {}}, "has no videos"),
        ({"features": {"../../up": {"dtype": "video"}}}, "cannot be the name of a camera"),
        ({"features": [1]}, "features"),
    ],
)
def test_what_no_data_set_says_is_refused_in_one_line(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    root = write_v2(tmp_path / "cups")
    file = root / INFO
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    with pytest.raises(MediaError) as refused:
        episode(root, FIRST)
    assert said in refused.value.message
    assert "\n" not in refused.value.message


def test_a_pattern_of_a_data_set_runs_nothing(tmp_path: Path) -> None:
    root = write_v2(tmp_path / "cups")
    file = root / INFO
    odd = {"video_path": "{video_key.__class__}.mp4"}
    file.write_text(json.dumps(json.loads(file.read_text()) | odd))
    assert episode(root, FIRST).video == root / "{video_key.__class__}.mp4"


@pytest.mark.parametrize("text", ["{", "[1]\n", "x" * (1 << 20) + "xx\n", "[" * 100_000 + "\n"])
def test_odd_lines_of_episodes_are_refused(tmp_path: Path, text: str) -> None:
    root = write_v2(tmp_path / "cups")
    (root / "meta/episodes.jsonl").write_text(text)
    with pytest.raises(MediaError) as refused:
        episode(root, FIRST)
    assert len(refused.value.message) < 500


def test_a_damaged_table_is_refused_in_one_line(tmp_path: Path) -> None:
    root = write_v3(tmp_path / "cups")
    file = root / "meta/episodes/chunk-000/file-000.parquet"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(MediaError, match="cannot be read") as refused:
        episode(root, FIRST)
    assert "\n" not in refused.value.message
