"""The demo's little city and a ray-caster for it in plain numpy: boxes, spheres, a ground, a sun.

Positions are metres, z is up; colours are linear RGB 0..1. Rays are (3, n) float32 arrays. Only
elementwise arithmetic is used, no BLAS: a frame has the same bits in whatever process it is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Vec: TypeAlias = tuple[float, float, float]

SKY_ID, GROUND_ID = 0, 1
_FAR = np.float32(1e9)


def _unit(v: Vec) -> Vec:
    n = math.sqrt(sum(x * x for x in v))
    return (v[0] / n, v[1] / n, v[2] / n)


SUN: Vec = _unit((-0.45, -0.6, 0.75))
_SIDE = _unit((SUN[1], -SUN[0], 0.0))
_UP = (
    _SIDE[1] * SUN[2] - _SIDE[2] * SUN[1],
    _SIDE[2] * SUN[0] - _SIDE[0] * SUN[2],
    _SIDE[0] * SUN[1] - _SIDE[1] * SUN[0],
)


@dataclass(frozen=True)
class Thing:
    """A box (`half` is its half size) or, where `half` is None, a sphere of `radius`."""

    id: int
    centre: Vec
    radius: float
    """Of the sphere, or of the sphere round the box."""
    colour: Vec
    half: Vec | None = None
    windows: bool = False

    def distance(self, o: Array, d: Array) -> Array:
        """Distance along each ray to the nearest hit in front; 1e9 where there is none."""
        return self._box(o, d) if self.half else self._sphere(o, d)

    def _sphere(self, o: Array, d: Array) -> Array:
        p = [o[i] - np.float32(self.centre[i]) for i in range(3)]
        along = p[0] * d[0] + p[1] * d[1] + p[2] * d[2]
        root = along * along - (p[0] ** 2 + p[1] ** 2 + p[2] ** 2 - np.float32(self.radius**2))
        near = -along - np.sqrt(np.maximum(root, 0))
        return np.where((root > 0) & (near > 1e-3), near, _FAR)

    def _box(self, o: Array, d: Array) -> Array:
        assert self.half
        enter, leave = np.float32(-1e9), _FAR
        for i in range(3):
            inverse = 1 / np.where(np.abs(d[i]) < 1e-7, np.float32(1e-7), d[i])
            middle = (np.float32(self.centre[i]) - o[i]) * inverse
            reach = np.float32(self.half[i]) * np.abs(inverse)
            enter, leave = np.maximum(enter, middle - reach), np.minimum(leave, middle + reach)
        return np.where((enter <= leave) & (enter > 1e-3), enter, _FAR)

    def normal(self, p: Array) -> Array:
        """Outward normals at points on the surface."""
        local = np.stack([p[i] - np.float32(self.centre[i]) for i in range(3)])
        if not self.half:
            return local / np.float32(self.radius)
        scaled = local / np.array(self.half, np.float32)[:, None]
        face = np.abs(scaled).argmax(axis=0)[None] == np.arange(3)[:, None]
        return np.where(face, np.sign(scaled), np.float32(0))


def _box(id_: int, centre: Vec, half: Vec, colour: Vec, *, windows: bool = False) -> Thing:
    return Thing(id_, centre, math.sqrt(sum(h * h for h in half)), colour, half, windows)


def things_at(seconds: float) -> list[Thing]:
    """The city at a time: two rows of houses stand, cars drive, balls bounce and roll."""
    walls: Sequence[Vec] = (
        (0.62, 0.34, 0.25), (0.70, 0.62, 0.50), (0.36, 0.42, 0.48),
        (0.55, 0.50, 0.30), (0.45, 0.30, 0.34), (0.66, 0.66, 0.64),
    )  # fmt: skip
    things = []
    for k in range(8):
        for row, side in enumerate((-1.0, 1.0)):
            n = 2 * k + row
            height = 6.0 + (n * 7 % 11) * 1.4
            depth = 3.4 + (n * 5 % 3) * 0.7
            centre = (6.0 + 8.6 * k, side * (6.6 + depth), height / 2)
            half = (3.3, depth, height / 2)
            things.append(_box(10 + n, centre, half, walls[n * 5 % 6], windows=True))
    for n, (start, lane, speed) in enumerate(((34.0, 2.3, -6.5), (9.0, -2.3, 5.0))):
        x = start + speed * seconds
        paint = ((0.75, 0.08, 0.06), (0.08, 0.22, 0.62))[n]
        things.append(_box(40 + n, (x, lane, 0.75), (2.1, 0.9, 0.45), paint))
        things.append(_box(40 + n, (x, lane, 1.5), (1.1, 0.8, 0.32), (0.06, 0.07, 0.09)))
    bounce = abs(math.sin(2.1 * seconds + 0.6))
    things.append(Thing(50, (10.5, 0.6, 0.9 + 2.4 * bounce), 0.9, (0.95, 0.55, 0.08)))
    things.append(
        Thing(51, (15.0, -4.9 + 3.2 * math.sin(0.9 * seconds), 1.2), 1.2, (0.1, 0.5, 0.3))
    )
    things.append(Thing(52, (22.0, 4.4, 1.6), 1.6, (0.78, 0.78, 0.82)))
    return things


def first_hits(things: Sequence[Thing], origin: Vec, d: Array) -> tuple[Array, Array]:
    """(distance, which) for rays from one point: which is an index into `things`, -1 the ground,
    -2 the sky (distance 1e9)."""
    o = np.array(origin, np.float32)[:, None]
    down = d[2] < -1e-6
    distance = np.where(down, -o[2] / np.where(down, d[2], np.float32(-1)), _FAR)
    which = np.where(down, np.int16(-1), np.int16(-2))
    for k, thing in enumerate(things):
        c = [np.float32(thing.centre[i] - origin[i]) for i in range(3)]
        along = c[0] * d[0] + c[1] * d[1] + c[2] * d[2]
        squared = np.float32(sum(float(x) ** 2 for x in c))
        close = squared - along * along < np.float32(thing.radius**2 * 1.01)
        at = np.flatnonzero(close & (along > -thing.radius))
        if at.size:
            t = thing.distance(o, d[:, at])
            nearer = t < distance[at]
            hit = at[nearer]
            distance[hit], which[hit] = t[nearer], k
    return distance, which


def in_shadow(things: Sequence[Thing], p: Array) -> Array:
    """Whether something stands between each point and the sun."""
    u = p[0] * np.float32(_SIDE[0]) + p[1] * np.float32(_SIDE[1])
    v = p[0] * np.float32(_UP[0]) + p[1] * np.float32(_UP[1]) + p[2] * np.float32(_UP[2])
    dark = np.zeros(p.shape[1], bool)
    sun = np.array(SUN, np.float32)[:, None]
    for thing in things:
        c = thing.centre
        cu = np.float32(c[0] * _SIDE[0] + c[1] * _SIDE[1])
        cv = np.float32(c[0] * _UP[0] + c[1] * _UP[1] + c[2] * _UP[2])
        at = np.flatnonzero(((u - cu) ** 2 + (v - cv) ** 2 < thing.radius**2 * 1.01) & ~dark)
        if at.size:
            dark[at] = thing.distance(p[:, at], sun) < _FAR
    return dark


def sky(d: Array) -> Array:
    """The sky's colour in a direction: pale at the horizon, blue above, bright round the sun."""
    up = np.sqrt(np.maximum(d[2], 0))
    low, high = (0.80, 0.84, 0.86), (0.16, 0.36, 0.72)
    glow = np.maximum(d[0] * np.float32(SUN[0]) + d[1] * np.float32(SUN[1]) + d[2] * SUN[2], 0)
    glow = glow**64 * np.float32(0.6)
    return np.stack(
        [np.float32(a) + np.float32(b - a) * up + glow for a, b in zip(low, high, strict=True)]
    )


def shade(things: Sequence[Thing], origin: Vec, d: Array, t: Array, which: Array) -> Array:
    """The linear colour (3, n) that each ray sees: sun with shadow, sky light, haze."""
    seen = sky(d)
    hit = np.flatnonzero(which > -2)
    if hit.size == 0:
        return seen
    ray, far, what = d[:, hit], t[hit], which[hit]
    p = np.array(origin, np.float32)[:, None] + ray * far
    normal = np.zeros_like(p)
    normal[2, what == -1] = 1
    albedo = _ground(p, far)
    for k, thing in enumerate(things):
        at = np.flatnonzero(what == k)
        if at.size:
            normal[:, at] = thing.normal(p[:, at])
            albedo[:, at] = _paint(thing, p[:, at], normal[:, at], far[at])
    facing = normal[0] * np.float32(SUN[0]) + normal[1] * np.float32(SUN[1])
    facing = np.maximum(facing + normal[2] * np.float32(SUN[2]), 0)
    lit = np.flatnonzero(facing > 0)
    facing[lit] *= ~in_shadow(things, p[:, lit] + normal[:, lit] * np.float32(2e-2))
    ambient = np.float32(0.20) + np.float32(0.10) * normal[2]
    haze = np.exp(far * np.float32(-0.007))
    for i, (warm, cool) in enumerate(((1.15, 0.85), (1.05, 0.95), (0.88, 1.2))):
        light = np.float32(warm) * facing + np.float32(cool) * ambient
        seen[i, hit] = albedo[i] * light * haze + seen[i, hit] * (1 - haze)
    return seen


def _ground(p: Array, far: Array) -> Array:
    """A road with a dashed line between checkered pavements; patterns fade with distance."""
    x, y = p[0], p[1]
    sharp = np.exp(far * np.float32(-0.03))
    checker = ((np.floor(x / 2) + np.floor(y / 2)) % 2 * 2 - 1) * sharp * np.float32(0.10)
    road = np.abs(y) < 5
    line = (np.abs(y) < 0.12) & (x % 4 < 2)
    grey = np.where(road, np.float32(0.16) + checker * np.float32(0.25), np.float32(0.46) + checker)
    grey = np.where(line, np.float32(0.7), grey)
    return np.stack([grey, grey * np.float32(0.98), grey * np.float32(0.94)])


def _paint(thing: Thing, p: Array, normal: Array, far: Array) -> Array:
    colour = np.repeat(np.array(thing.colour, np.float32)[:, None], p.shape[1], axis=1)
    if not thing.windows:
        return colour
    across = np.where(np.abs(normal[0]) > 0.5, p[1], p[0])
    pane = (across % 1.65 > 0.5) & (p[2] % 1.9 > 0.7) & (np.abs(normal[2]) < 0.5)
    strength = np.where(pane, np.exp(far * np.float32(-0.02)), np.float32(0))
    glass = np.array((0.10, 0.15, 0.20), np.float32)[:, None]
    return colour + (glass - colour) * strength
