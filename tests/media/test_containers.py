from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.containers import check_whole
from cosmos_pipelines.media.probe import probe
from tests.media.foreign import LIVE, WHOLE, ffmpeg, foreign

JUNK = {
    "one byte": b"\0",
    "zeros": bytes(4096),
    "text": b"-- appended by a careless upload --" * 40,
    "noise": random.Random(3).randbytes(5000),
    "what looks like a long box": b"\x7f\xff\xff\xffabcd" + bytes(100),
}


@pytest.mark.parametrize("kind", [*WHOLE, *LIVE])
def test_a_whole_file_has_all_its_frames(tmp_path: Path, kind: str) -> None:
    path = foreign(tmp_path, kind, frames=24)
    for deep in (False, True):
        assert probe(path, deep=deep).frames == 24


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("kind", WHOLE)
def test_bytes_behind_the_end_are_no_fault(tmp_path: Path, kind: str, junk: str) -> None:
    path = foreign(tmp_path, kind, frames=24)
    path.write_bytes(path.read_bytes() + JUNK[junk])
    for deep in (False, True):
        assert probe(path, deep=deep).frames == 24


@pytest.mark.parametrize("share", [0.3, 0.55, 0.9, 0.999])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_cut_file_is_truncated_wherever_it_was_cut(
    tmp_path: Path, kind: str, share: float
) -> None:
    path = foreign(tmp_path, kind, frames=48)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(MediaError, match=rf"{path.name} is truncated"):
        probe(path)


@pytest.mark.parametrize("kind", LIVE)
def test_a_live_recording_cut_in_the_middle_of_a_frame_is_truncated(
    tmp_path: Path, kind: str
) -> None:
    path = foreign(tmp_path, kind, frames=48)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    with pytest.raises(MediaError, match="is truncated"):
        probe(path)


@pytest.mark.parametrize("kind", ["h264.mkv", "vp9.webm"])
def test_a_file_of_full_size_whose_end_was_never_written_lacks_frames(
    tmp_path: Path, kind: str
) -> None:
    path = foreign(tmp_path, kind, frames=48)
    data = path.read_bytes()
    cut = int(len(data) * 0.6)
    path.write_bytes(data[:cut] + bytes(len(data) - cut))
    with pytest.raises(MediaError, match=r"is truncated: \d+ of 48 frames are there"):
        probe(path)


def test_sound_that_lasts_longer_does_not_make_a_video_truncated(tmp_path: Path) -> None:
    path = foreign(tmp_path, "h264.mkv", frames=24, sound_s=3)
    assert probe(path, deep=True).frames == 24


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200), kind=st.sampled_from([b"", b"\x1aE\xdf\xa3", b"RIFFabcdAVI "]))
def test_any_bytes_are_refused_in_our_words_or_pass(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(kind + data)
    try:
        check_whole(path)
    except MediaError as e:
        assert "any.bin" in str(e)


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    video = foreign(tmp_path, "h264.mp4", frames=24)
    cover, both = tmp_path / "cover.jpg", tmp_path / "both.mp4"
    for words in (
        ["-i", video, "-frames:v", "1", "-s", "32x32", cover],
        ["-i", cover, "-i", video, "-map", "0", "-map", "1", "-c", "copy",
         "-disposition:v:0", "attached_pic", both],
    ):  # fmt: skip
        ffmpeg(*words)
    assert (probe(both, deep=True).frames, probe(both).codec) == (24, "h264")


def test_a_named_pipe_is_no_video_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "color.mp4")
    with pytest.raises(MediaError, match=r"color\.mp4 is no regular file"):
        probe(tmp_path / "color.mp4")
