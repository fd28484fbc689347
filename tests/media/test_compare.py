from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.compare import blackness_and_freeze, compare
from cosmos_pipelines.media.encode import Coding, encode
from tests.media import renders


def coarse(path: Path, crf: int) -> Path:
    coding = Coding("yuv420p", {"crf": str(crf)})
    encode((renders.colour(i, 320, 192) for i in range(8)), path, fps=24, coding=coding)
    return path


def test_a_video_equals_itself(tmp_path: Path) -> None:
    found = compare(coarse(tmp_path / "a.mp4", 20), tmp_path / "a.mp4")
    assert (found.psnr, found.ssim, found.frames) == (math.inf, 1.0, 8)


def test_the_worse_encoding_is_less_alike(tmp_path: Path) -> None:
    best = coarse(tmp_path / "a.mp4", 5)
    good = compare(best, coarse(tmp_path / "b.mp4", 23))
    bad = compare(best, coarse(tmp_path / "c.mp4", 45))
    assert good.psnr > bad.psnr > 10
    assert 1 > good.ssim > bad.ssim > 0
    assert bad.worst_psnr <= bad.psnr
    assert bad.worst_ssim <= bad.ssim


def test_the_numbers_are_those_of_ffmpeg(tmp_path: Path) -> None:
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg on this machine")
    a, b = coarse(tmp_path / "a.mp4", 5), coarse(tmp_path / "b.mp4", 40)
    found = compare(a, b)
    for name, ours in (("psnr", found.psnr), ("ssim", found.ssim)):
        words = ["ffmpeg", "-i", str(a), "-i", str(b), "-lavfi", name, "-f", "null", "-"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stderr
        match = re.search(r" [yY]:([\d.]+)", said.split("Parsed_")[-1])
        assert match
        # ours is of display values 0..255, theirs of luma 16..235
        assert ours == pytest.approx(float(match[1]), abs=1.5 if name == "psnr" else 0.02)


def test_different_lengths_cannot_be_compared(tmp_path: Path) -> None:
    renders.video(tmp_path / "a.mp4", frames=3)
    renders.video(tmp_path / "b.mp4", frames=4)
    with pytest.raises(MediaError, match="cannot be compared frame by frame"):
        compare(tmp_path / "a.mp4", tmp_path / "b.mp4")


def test_black_and_frozen_stretches_are_found(tmp_path: Path) -> None:
    moving = [renders.colour(i) for i in range(10)]
    frames = [*moving, *[moving[-1]] * 6, *[np.zeros_like(moving[0])] * 4]
    encode(frames, tmp_path / "a.mp4", fps=10)
    assert blackness_and_freeze(tmp_path / "a.mp4") == {
        "frames": 20,
        "black_share": 0.2,
        "longest_freeze_frames": 6,
        "longest_freeze_s": 0.6,
    }


def test_a_moving_video_is_neither_black_nor_frozen(tmp_path: Path) -> None:
    renders.video(tmp_path / "a.mp4", frames=12)
    found = blackness_and_freeze(tmp_path / "a.mp4")
    assert (found["black_share"], found["longest_freeze_frames"]) == (0, 0)
