from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cosmos_pipelines.errors import DiskFull, MediaError
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.encode import CONTROL, EXACT, PICTURE, encode
from tests.media import renders

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), NTSC, Fraction(60)])
def test_the_rate_is_exact_and_the_tags_are_bt709(tmp_path: Path, fps: Fraction) -> None:
    path = tmp_path / "a.mp4"
    found = encode((renders.colour(i) for i in range(13)), path, fps=fps)
    assert (found.frames, found.fps, found.path) == (13, fps, path)
    assert [found.color_space, found.color_primaries, found.color_transfer] == ["bt709"] * 3
    assert found.color_range == "tv"
    assert (1 / fps / found.time_base).denominator == 1  # a frame lasts a whole number of ticks
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_other_tools_read_the_same_rate_and_tags(tmp_path: Path) -> None:
    if not shutil.which("ffprobe"):
        pytest.skip("no ffprobe on this machine")
    encode((renders.colour(i) for i in range(24)), tmp_path / "a.mp4", fps=NTSC)
    words = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-count_frames"]
    said = subprocess.run([*words, str(tmp_path / "a.mp4")], capture_output=True, check=True)
    stream = json.loads(said.stdout)["streams"][0]
    assert stream["r_frame_rate"] == stream["avg_frame_rate"] == "30000/1001"
    assert stream["nb_read_frames"] == "24"
    assert stream["codec_name"] == "h264"
    assert stream["pix_fmt"] == "yuv420p"
    assert [stream[f"color_{x}"] for x in ("space", "primaries", "transfer")] == ["bt709"] * 3
    assert stream["start_pts"] == 0


def test_the_index_comes_before_the_pictures(tmp_path: Path) -> None:
    encode([renders.colour(0)] * 3, tmp_path / "a.mp4", fps=24)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_colours_come_back_close_and_grey_comes_back_as_grey(tmp_path: Path) -> None:
    frames = [renders.colour(i, 128, 96) // 2 + 60 for i in range(4)]
    encode(frames, tmp_path / "a.mp4", fps=24, coding=PICTURE)
    got = list(pictures_of(tmp_path / "a.mp4"))
    assert np.abs(np.stack(got).astype(int) - np.stack(frames)).mean() < 4
    grey = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    encode([grey] * 3, tmp_path / "g.mp4", fps=24, coding=CONTROL)
    for picture in pictures_of(tmp_path / "g.mp4"):
        assert np.abs(picture.astype(int) - grey[..., None]).max() <= 2
        assert np.ptp(picture.astype(int), axis=2).max() == 0


def test_every_8_bit_colour_survives_the_exact_coding(tmp_path: Path) -> None:
    code = np.arange(1 << 24, dtype=np.uint32)[::23]
    code = np.resize(code, (854, 856))  # one in 23 of all colours, evenly
    picture = np.stack([code >> 16, code >> 8, code], -1).astype(np.uint8)
    encode([picture], tmp_path / "a.mp4", fps=24, coding=EXACT)
    assert np.array_equal(next(pictures_of(tmp_path / "a.mp4")), picture)


@pytest.mark.parametrize("size", [(64, 48), (856, 480), (1000, 562), (330, 200)])
def test_every_width_is_exact_and_the_same_each_time(tmp_path: Path, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    for _ in range(3):
        encode([noise, noise // 2], tmp_path / "a.mp4", fps=24, coding=EXACT)
        got = list(pictures_of(tmp_path / "a.mp4"))
        assert np.array_equal(got, [noise, noise // 2])


def test_ffmpeg_reads_the_exact_coding_exactly(tmp_path: Path) -> None:
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg on this machine")
    frames = [renders.segments(i) for i in range(5)]
    found = encode(frames, tmp_path / "a.mp4", fps=24, coding=EXACT)
    assert found.color_space == "bt709"
    words = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.mp4")]
    raw = subprocess.run(
        [*words, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True
    ).stdout
    assert raw == b"".join(f.tobytes() for f in frames)


def test_what_cannot_be_encoded_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with pytest.raises(MediaError, match="no frames"):
        encode([], path, fps=24)
    with pytest.raises(MediaError, match="size is odd"):
        encode([renders.colour(0, 63, 48)], path, fps=24)
    with pytest.raises(MediaError, match="Frame 2 is 32x48, the first is 64x48"):
        encode([renders.colour(0), renders.colour(0, 32, 48)], path, fps=24)
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_the_older_file_and_no_part(tmp_path: Path) -> None:
    renders.video(tmp_path / "a.mp4", frames=3)
    before = (tmp_path / "a.mp4").read_bytes()

    def frames() -> Iterator[renders.Array]:
        yield renders.colour(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(frames(), tmp_path / "a.mp4", fps=24)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == before


def test_a_full_disk_is_one_line_and_leaves_nothing(small_disk: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 256, 256, 3), dtype=np.uint8)
    (small_disk / "other").write_bytes(bytes((8 << 20) - 60_000))
    with pytest.raises(DiskFull, match=r"No room left for .*a\.mp4"):
        encode(noise, small_disk / "a.mp4", fps=24)
    assert [p.name for p in small_disk.iterdir()] == ["other"]


def test_a_file_size_limit_is_told_like_a_full_disk(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; import numpy as np\n"
        "from cosmos_pipelines.errors import DiskFull\n"
        "from cosmos_pipelines.media.encode import encode\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "noise = np.random.default_rng(0).integers(0, 256, (9, 256, 256, 3), dtype=np.uint8)\n"
        "try: encode(noise, Path(sys.argv[1]), fps=24)\n"
        "except DiskFull as e: print(e)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a.mp4")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "No room left for" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    said = renders.as_nobody(
        "encode.encode([__import__('numpy').zeros((16, 16), 'u1')], path, fps=24)",
        tmp_path / "closed" / "a.mp4",
    )
    assert "a.mp4 cannot be written: Permission denied" in said


@pytest.mark.parametrize("first", [1, 5, 30, 47])
def test_a_video_is_decoded_from_any_frame_on(tmp_path: Path, first: int) -> None:
    """With B-frames, and key frames far apart."""
    encode([np.full((32, 32, 3), 4 * i, np.uint8) for i in range(48)], tmp_path / "a.mp4", fps=30)
    whole = list(pictures_of(tmp_path / "a.mp4"))
    part = list(pictures_of(tmp_path / "a.mp4", first=first))
    assert len(part) == 48 - first
    assert all(np.array_equal(a, b) for a, b in zip(part, whole[first:], strict=True))
