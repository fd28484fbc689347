from __future__ import annotations

from pathlib import Path

import numpy as np

from cosmos_pipelines.media.defects import blackness_and_freeze
from cosmos_pipelines.media.encode import encode
from tests.media import renders


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
