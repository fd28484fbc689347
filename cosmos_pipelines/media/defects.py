"""Signs of a failed generation in a video: black frames, and stretches that stand still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cosmos_pipelines.media.decode import frames_of
from cosmos_pipelines.media.encode import Array, reformatted
from cosmos_pipelines.media.probe import Probe, probe

_LOOK_WIDTH = 160
_BLACK_LEVEL, _BLACK_SHARE = 26, 0.98
"""A pixel is black up to 10 % of white, a frame if 98 % of it are (blackdetect's defaults)."""

_FROZEN = 0.25
"""Mean difference in steps of 8 bits below which two frames are the same picture (0.1 %)."""


def blackness_and_freeze(video: Path, facts: Probe | None = None) -> dict[str, Any]:
    """Signs of a failed generation: `black_share` of the frames, and the longest stretch in
    which the picture stands still, as `longest_freeze_frames` and `longest_freeze_s`.

    A stretch counts the frames that repeat their predecessor. Looked at 160 pixels wide. `facts`:
    the video as it was just measured.

    Raises:
        MediaError: the video cannot be used.
    """
    facts = facts or probe(video)
    black = longest = stretch = count = 0
    last: Array | None = None
    height = max(2, round(facts.height * _LOOK_WIDTH / facts.width))
    for frame in _grey(video, facts, (_LOOK_WIDTH, height)):
        count += 1
        black += bool((frame <= _BLACK_LEVEL).mean() >= _BLACK_SHARE)
        now = frame.astype(np.int16)
        still = last is not None and float(np.abs(now - last).mean()) < _FROZEN
        stretch = stretch + 1 if still else 0
        longest, last = max(longest, stretch), now
    return {
        "frames": count,
        "black_share": round(black / max(1, count), 6),
        "longest_freeze_frames": longest,
        "longest_freeze_s": round(longest / float(facts.fps), 6),
    }


def _grey(video: Path, facts: Probe, size: tuple[int, int]) -> Iterator[Array]:
    for frame in frames_of(video, facts.shown):
        width, height = size
        small = reformatted(frame, width=width, height=height, format="gray", interpolation="AREA")
        yield small.to_ndarray()
