"""Rain, snow, sun and grain as arrays of light: functions of seed and frame number.

The arrays are made once per sample, at least as large as the picture and seamless, and are rolled
from frame to frame: a frame's weather costs little and does not depend on the worker.
"""

from __future__ import annotations

import numpy as np
from numpy.random import SFC64, Generator
from numpy.typing import NDArray

Floats = NDArray[np.float32]
RAIN, SNOW, GRAIN, FRAME = 1, 2, 3, 4
"""Numbers of the random streams: separate, so that rain does not change the snow or the grain."""


def draws(seed: int, *stream: int) -> Generator:
    """Return a random source that depends only on the arguments."""
    return Generator(SFC64([seed, *stream]))


class Weather:
    """Rain, snow and grain for pictures of one size, from one seed."""

    def __init__(self, seed: int, height: int, width: int, *, rain: bool, snow: bool) -> None:
        self._seed, self._shape = seed, (height, width)
        self._rain = [_streaks(seed, height, width, n) for n in range(2)] if rain else []
        self._snow = [_flakes(seed, height, width, n) for n in range(3)] if snow else []
        source = draws(seed, GRAIN)
        self._grain = source.standard_normal((height + 64, width + 64), np.float32)
        self._blotches = _enlarged(source.standard_normal((3, 9, 16), np.float32), height, width)

    def grain(self, index: int) -> Floats:
        """Return noise of standard deviation 1, different for each frame, (height, width)."""
        y, x = draws(self._seed, FRAME, index).integers(0, 64, 2)
        height, width = self._shape
        return self._grain[y : y + height, x : x + width]

    def blotches(self) -> Floats:
        """Return a broad variation of colour that depends only on the seed, (3, height, width)."""
        return self._blotches

    def rain(self, index: int) -> Floats:
        """Return the light of falling rain, 0 to 1, (height, width)."""
        height = self._shape[0]
        layers = [
            np.roll(
                tile, (round(index * height * speed), -round(index * height * speed / 8)), (0, 1)
            )
            for tile, speed in zip(self._rain, (0.19, 0.13), strict=True)
        ]
        return np.maximum(layers[0], layers[1])

    def snow(self, index: int) -> Floats:
        """Return the light of falling flakes, 0 to 1, (height, width)."""
        height = self._shape[0]
        light = np.zeros(self._shape, np.float32)
        for n, (tile, speed) in enumerate(zip(self._snow, (0.008, 0.014, 0.024), strict=True)):
            sway = np.sin(index / 9 + 2 * n) * height * 0.012
            moved = np.roll(tile, (round(index * height * speed), round(sway)), (0, 1))
            np.maximum(light, moved, out=light)
        return light


def sunlight(seed: int, height: int, width: int) -> Floats:
    """Return the light around a low sun at a place given by the seed, 0 to 1, (height, width)."""
    across = draws(seed, FRAME).uniform(0.25, 0.75)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((x - across * width) / height, (y - 0.36 * height) / height)
    light: Floats = np.exp(-3.2 * distance) * 0.75 + np.exp(-((distance / 0.09) ** 2)) * 0.5
    return np.minimum(light, 1).astype(np.float32)


def edge_shade(height: int, width: int) -> Floats:
    """Return the squared distance from the middle: 0 there, 1 in the corners, (height, width)."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return ((x * x + y * y) / 2).astype(np.float32)


def _streaks(seed: int, height: int, width: int, layer: int) -> Floats:
    """Return drops drawn out downwards and to the left; nearer layers have longer, fewer drops."""
    source = draws(seed, RAIN, layer)
    drops = source.random((height, width), np.float32) > 1 - (0.0022 if layer else 0.0012)
    tile = drops * source.uniform(0.35, 1.0, (height, width)).astype(np.float32)
    length = max(3, round(height * (0.05 if layer else 0.085)))
    streaks = np.zeros((height, width), np.float32)
    for step in range(length):
        fade = np.float32(1 - step / length)
        np.maximum(streaks, np.roll(tile, (-step, step // 8), (0, 1)) * fade, out=streaks)
    return streaks


def _flakes(seed: int, height: int, width: int, layer: int) -> Floats:
    """Return soft round points; nearer layers have larger, fewer points."""
    source = draws(seed, SNOW, layer)
    radius = max(1.0, height * (0.0022, 0.004, 0.0075)[layer])
    share = (0.03, 0.02, 0.012)[layer] / (4 * radius * radius)
    tile = (source.random((height, width), np.float32) < share) * source.uniform(
        0.5, 1.0, (height, width)
    ).astype(np.float32)
    reach = int(2 * radius) + 1
    flakes = np.zeros((height, width), np.float32)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            soft = np.float32(np.exp(-(dy * dy + dx * dx) / (1.2 * radius * radius)))
            if soft > 0.04:
                np.maximum(flakes, np.roll(tile, (dy, dx), (0, 1)) * soft, out=flakes)
    return flakes


def _enlarged(coarse: Floats, height: int, width: int) -> Floats:
    """Return `coarse` (3, rows, columns) interpolated to (3, height, width)."""
    ys = np.linspace(0, coarse.shape[1] - 1.001, height)
    xs = np.linspace(0, coarse.shape[2] - 1.001, width)
    y, x = ys.astype(int), xs.astype(int)
    fy = (ys - y).astype(np.float32)[None, :, None]
    fx = (xs - x).astype(np.float32)[None, None, :]
    fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
    upper = coarse[:, y][:, :, x] * (1 - fx) + coarse[:, y][:, :, x + 1] * fx
    lower = coarse[:, y + 1][:, :, x] * (1 - fx) + coarse[:, y + 1][:, :, x + 1] * fx
    enlarged: Floats = (upper * (1 - fy) + lower * fy).astype(np.float32)
    return enlarged
