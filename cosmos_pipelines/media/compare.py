"""Compare two videos, and look for black or frozen stretches in one. Streams, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.decode import frames_of
from cosmos_pipelines.media.encode import Array, reformatted
from cosmos_pipelines.media.probe import probe

_LOOK_WIDTH = 160
_BLACK_LEVEL, _BLACK_SHARE = 26, 0.98
"""A pixel is black up to 10 % of white, a frame if 98 % of it are (blackdetect's defaults)."""

_FROZEN = 0.25
"""Mean difference in steps of 8 bits below which two frames are the same picture (0.1 %)."""


@dataclass(frozen=True)
class Likeness:
    """How alike two videos are in luma. PSNR in dB (infinite if equal), SSIM -1 to 1."""

    psnr: float
    ssim: float
    worst_psnr: float
    worst_ssim: float
    frames: int


def compare(one: Path, other: Path) -> Likeness:
    """Compare two videos of equal size and length, frame n with frame n whatever their time.

    PSNR is of the mean squared error over all frames. SSIM is that of Wang et al. (2004) with
    8x8 windows at every fourth pixel.

    Raises:
        MediaError: a video cannot be used, or they differ in size or length.
    """
    a, b = probe(one), probe(other)
    if (a.width, a.height, a.frames) != (b.width, b.height, b.frames):
        raise MediaError(
            f"{one} ({a.width}x{a.height}, {a.frames} frames) and {other} "
            f"({b.width}x{b.height}, {b.frames} frames) cannot be compared frame by frame."
        )
    errors, alike = [], []
    for x, y in zip(_grey(one), _grey(other), strict=True):
        p, q = x.astype(np.float32), y.astype(np.float32)
        errors.append(float(np.mean((p - q) ** 2)))
        alike.append(_ssim(p, q))
    mean = sum(errors) / len(errors)
    return Likeness(
        psnr=_decibel(mean),
        ssim=sum(alike) / len(alike),
        worst_psnr=_decibel(max(errors)),
        worst_ssim=min(alike),
        frames=len(errors),
    )


def blackness_and_freeze(video: Path) -> dict[str, Any]:
    """Signs of a failed generation: `black_share` of the frames, and the longest stretch in
    which the picture stands still, as `longest_freeze_frames` and `longest_freeze_s`.

    A stretch counts the frames that repeat their predecessor. Looked at 160 pixels wide.

    Raises:
        MediaError: the video cannot be used.
    """
    facts = probe(video)
    black = longest = stretch = count = 0
    last: Array | None = None
    height = max(2, round(facts.height * _LOOK_WIDTH / facts.width))
    for frame in _grey(video, (_LOOK_WIDTH, height)):
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


def _grey(video: Path, size: tuple[int, int] | None = None) -> Iterator[Array]:
    width, height = size or (None, None)
    for frame in frames_of(video, probe(video).shown):
        small = reformatted(frame, width=width, height=height, format="gray", interpolation="AREA")
        yield small.to_ndarray()


def _decibel(squared_error: float) -> float:
    return math.inf if squared_error == 0 else 10 * math.log10(255**2 / squared_error)


def _ssim(x: Array, y: Array) -> float:
    if min(x.shape) < 8:
        raise MediaError("Videos smaller than 8x8 cannot be compared by SSIM.")
    mx, my = _windows(x), _windows(y)
    vx, vy = _windows(x * x) - mx * mx, _windows(y * y) - my * my
    cov = _windows(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    near = (2 * mx * my + c1) * (2 * cov + c2)
    return float(np.mean(near / ((mx * mx + my * my + c1) * (vx + vy + c2))))


def _windows(x: Array) -> Array:
    """Means over 8x8 windows at every fourth pixel, from sums of 4x4 blocks."""
    h, w = x.shape[0] // 4 * 4, x.shape[1] // 4 * 4
    block = x[:h, :w].astype(np.float64).reshape(h // 4, 4, w // 4, 4).sum(axis=(1, 3))
    pairs = block[1:] + block[:-1]
    means: Array = (pairs[:, 1:] + pairs[:, :-1]) / 64
    return means
