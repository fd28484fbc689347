from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.probe import probe
from tests.media import renders


def test_a_video_is_measured_from_its_header(tmp_path: Path) -> None:
    renders.video(tmp_path / "color.mp4", frames=30, fps=30)
    found = probe(tmp_path / "color.mp4", deep=True)
    assert (found.width, found.height, found.frames, found.fps) == (64, 48, 30, Fraction(30))
    assert (found.codec, found.pix_fmt, found.duration_s) == ("h264", "yuv420p", 1.0)
    assert found.color_space == found.color_primaries == found.color_transfer == "bt709"
    assert found.color_range == "tv"
    assert found.steady
    assert found.facts()["fps"] == "30"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"There is no .*gone\.mp4"):
        probe(tmp_path / "gone.mp4")


def test_a_directory_is_not_a_video(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="is a directory"):
        probe(tmp_path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "color.mp4").touch()
    with pytest.raises(MediaError, match="is empty") as refused:
        probe(tmp_path / "color.mp4")
    assert refused.value.hint == "Render or copy it again."


def test_a_text_file_called_mp4_is_not_a_video(tmp_path: Path) -> None:
    (tmp_path / "color.mp4").write_text("This is a letter, not a video.\n" * 40)
    with pytest.raises(MediaError, match=r"color\.mp4 is not a video"):
        probe(tmp_path / "color.mp4")


def test_a_sound_file_has_no_video_stream(tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    sound.write_bytes(
        b"RIFF\x2c\x01\x00\x00WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0"
        b"data\x08\x01\0\0" + bytes(264)
    )
    with pytest.raises(MediaError, match="no video stream"):
        probe(sound)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_cut_mp4_is_truncated_wherever_it_was_cut(tmp_path: Path, share: float) -> None:
    path = tmp_path / "color.mp4"
    renders.video(path, frames=20)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(MediaError, match="is truncated"):
        probe(path)


def test_an_mp4_whose_writing_never_ended_has_no_index(tmp_path: Path) -> None:
    path = tmp_path / "color.mp4"
    renders.video(path)
    data = path.read_bytes()
    start = data.index(b"moov") - 4
    size = int.from_bytes(data[start : start + 4], "big")
    path.write_bytes(data[:start] + data[start + size :])
    with pytest.raises(MediaError, match=r"no index \(moov\)"):
        probe(path)


def test_deep_probing_finds_frames_that_are_missing_in_a_matroska_file(tmp_path: Path) -> None:
    renders.video(tmp_path / "color.mp4", frames=20)
    mkv = tmp_path / "color.mkv"
    words = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "color.mp4"), "-c", "copy", str(mkv)]
    try:
        subprocess.run(words, check=True)
    except FileNotFoundError:
        pytest.skip("no ffmpeg on this machine to write Matroska")
    assert probe(mkv, deep=True).frames == 20


def test_a_video_without_read_permission_says_so(tmp_path: Path) -> None:
    path = tmp_path / "color.mp4"
    renders.video(path)
    path.chmod(0)
    said = renders.as_nobody("probe.probe(path)", path)
    assert said.startswith(f"MediaError: {path} cannot be read: permission denied")
