"""What the files of a directory tell of whether more will come."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.settling import (
    FACTOR,
    MARKER,
    MOST_S,
    SceneLook,
    all_whole,
    has_whole_index,
    look_at,
    quiet,
    wait_s,
)
from tests.media import renders

seconds = st.floats(0, 1e5)


def frames(directory: Path, name: str, *times: float) -> None:
    directory.mkdir(exist_ok=True)
    for number, at in enumerate(times, 1):
        path = directory / f"{name}.{number:04d}.png"
        path.touch()
        os.utime(path, (at, at))


@given(gap=seconds, known=seconds, settle=st.floats(0, 1e4))
def test_the_waiting_is_a_multiple_of_the_pace_at_least_the_set_time_and_bounded(
    gap: float, known: float, settle: float
) -> None:
    needed = wait_s(SceneLook("x", gap_s=gap), settle, known)
    assert settle <= needed <= max(MOST_S, settle)
    assert needed >= min(MOST_S, FACTOR * gap)
    assert needed >= min(MOST_S, FACTOR * known)


@given(unchanged=seconds, age=seconds, needed=st.floats(1, 3600))
def test_a_clock_that_is_minutes_wrong_cuts_nothing_off(
    unchanged: float, age: float, needed: float
) -> None:
    """The times of files are of another machine, perhaps; what we saw ourselves counts."""
    now = 1e9
    is_quiet = quiet(SceneLook("x", changed_s=now - age), unchanged, now, needed)
    assert is_quiet == (unchanged >= needed or age >= needed + 600)
    if age < 600:
        assert is_quiet == (unchanged >= needed)


def test_the_pace_is_that_of_each_sequence_by_itself(tmp_path: Path) -> None:
    """Passes that are written in turn: color, depth, color, depth ..."""
    frames(tmp_path, "color", 1000, 1100, 1200)
    frames(tmp_path, "depth", 1050, 1150, 1250)
    assert look_at(tmp_path).gap_s == 100
    frames(tmp_path / "vis", "frame", 1000, 1130)
    assert look_at(tmp_path).gap_s == 130


def test_the_pace_of_a_render_over_an_earlier_one_is_that_of_what_is_new(tmp_path: Path) -> None:
    frames(tmp_path, "color", 90_000, 90_010, 1000, 1001)
    assert look_at(tmp_path).gap_s == 88_999
    assert look_at(tmp_path, since_s=1001).gap_s == 10


def test_a_file_that_came_with_an_older_time_changed_now(tmp_path: Path) -> None:
    frames(tmp_path, "color", 1000, 1001)
    look = look_at(tmp_path)
    assert look.written_s == 1001
    assert look.changed_s > 1e9


def test_a_marker_counts_if_it_is_the_newest(tmp_path: Path) -> None:
    frames(tmp_path, "color", 1000, 1001)
    assert not look_at(tmp_path).marked
    (tmp_path / MARKER).touch()
    assert look_at(tmp_path).marked
    os.utime(tmp_path / MARKER, (1000, 1000))
    assert not look_at(tmp_path).marked


def test_what_was_made_of_the_pictures_is_not_looked_at(tmp_path: Path) -> None:
    from cosmos_pipelines.media.prepare import prepare_scene

    directory = renders.render(tmp_path / "city", frames=2)
    before = look_at(directory)
    prepare_scene(directory, directory)
    assert look_at(directory) == before
    (directory / "note.txt").touch()
    assert look_at(directory) == before
    (directory / "scene.toml").touch()
    assert look_at(directory) == before
    assert look_at(directory, also=("scene.toml",)).stamp != before.stamp


def coded(path: Path, *options: str) -> Path:
    """A second of a test picture, as FFmpeg writes it."""
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=24:duration=1"]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", *source, "-pix_fmt", "yuv420p", *options, str(path)],
        check=True,
    )
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("at_the_end.mp4", ()),
        ("at_the_front.mp4", ("-movflags", "+faststart")),
        ("quicktime.mov", ()),
    ],
)
def test_a_file_with_a_whole_index_is_whole_and_any_beginning_of_it_is_not(
    tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    path = coded(tmp_path / name, *options)
    assert has_whole_index(path)
    assert all_whole(tmp_path, look_at(tmp_path))
    whole = path.read_bytes()
    for length in {0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:length])
        assert not has_whole_index(path), length
    path.write_bytes(whole + b"more comes")
    assert not has_whole_index(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("in_pieces.mp4", ("-movflags", "frag_keyframe+empty_moov")),
        ("matroska.mkv", ()),
    ],
)
def test_a_file_of_whose_end_nothing_in_it_tells_is_not_whole_by_itself(
    tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    assert not has_whole_index(coded(tmp_path / name, *options))


def test_videos_beside_pictures_are_not_whole_by_themselves(tmp_path: Path) -> None:
    coded(tmp_path / "color.mp4")
    frames(tmp_path, "depth", 1000)
    assert not all_whole(tmp_path, look_at(tmp_path))
    assert not all_whole(tmp_path / "nothing", SceneLook("x"))


def test_a_directory_that_was_prepared_as_one_scene_stays_that_wherever_its_files_lie(
    tmp_path: Path,
) -> None:
    renders.sequence(tmp_path / "take", "color.%04d.png", renders.colour)
    assert set(look_at(tmp_path).scenes) == {"take"}
    prepare_scene(tmp_path, tmp_path)
    assert not look_at(tmp_path).scenes
