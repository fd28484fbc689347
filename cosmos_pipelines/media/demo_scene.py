"""Render the demo scene: a drive through a small city as color, depth and segmentation passes."""

from __future__ import annotations

import math
import multiprocessing
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cosmos_pipelines.errors import CosmosError, InputError
from cosmos_pipelines.files import saying_why_not_written, writing
from cosmos_pipelines.media.demo_world import (
    GROUND_ID,
    SKY_ID,
    Array,
    Thing,
    Vec,
    first_hits,
    shade,
    things_at,
)
from cosmos_pipelines.media.segmentation import id_colours

FPS = 24
DEPTH_UNIT_M = 0.00125
"""Metres a step of the 16-bit depth pass, which thus reaches 81.9 m; 65535 is the sky."""

_FIELD_OF_VIEW = math.radians(62)
_SUBPIXELS = ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375))
_PASSES = ("color", "depth", "segmentation")


def render_demo(
    dest: Path,
    *,
    frames: int = 48,
    width: int = 640,
    height: int = 352,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write `dest`/{color,depth,segmentation}.0001.png and on: 8-bit RGB, 16-bit distance along
    the view axis, flat 8-bit colours without antialiasing.

    The same pixels for any number of `workers` (processes; default: one a core, 1 stays in this
    process). `progress(done, total)` is called from this thread after each frame.

    Raises:
        InputError: an impossible number or size.
        DiskFull: no room; no half-written picture is left.
    """
    if frames < 1 or width < 16 or height < 16:
        raise InputError(f"{frames} frames of {width}x{height} cannot be rendered.")
    with saying_why_not_written(dest):
        dest.mkdir(parents=True, exist_ok=True)
    _remove_later_frames(dest, frames)
    one = partial(_render_to, dest, width, height)
    count = min(workers or os.cpu_count() or 1, frames)
    for done, _ in enumerate(_each(one, frames, count), start=1):
        if progress:
            progress(done, frames)
    return {
        "path": str(dest),
        "frames": frames,
        "width": width,
        "height": height,
        "fps": FPS,
        "depth_unit_m": DEPTH_UNIT_M,
        "passes": list(_PASSES),
    }


def _each(one: Callable[[int], None], frames: int, workers: int) -> Iterator[None]:
    if workers == 1:
        yield from map(one, range(frames))
        return
    # spawned, not forked: the caller may have threads (Dagster, a web server)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(one, i) for i in range(frames)]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise CosmosError(
                "A rendering process died.",
                hint="A script that renders needs `if __name__ == '__main__':`, or workers=1.",
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _remove_later_frames(dest: Path, frames: int) -> None:
    """Frames of an earlier, longer render would make passes of different length."""
    name = re.compile(rf"({'|'.join(_PASSES)})\.(\d{{4,}})\.png")
    for path in dest.iterdir():
        if (match := name.fullmatch(path.name)) and int(match[2]) > frames:
            path.unlink()


def _render_to(dest: Path, width: int, height: int, index: int) -> None:
    for name, pixels in zip(_PASSES, render(index, width, height), strict=True):
        with writing(dest / f"{name}.{index + 1:04d}.png") as part:
            Image.fromarray(pixels).save(part, format="png", compress_level=2)


def render(index: int, width: int, height: int) -> tuple[Array, Array, Array]:
    """Frame `index` as (colour uint8 RGB, depth uint16, segments uint8 RGB)."""
    seconds = index / FPS
    things = things_at(seconds)
    origin, axes = _camera(seconds)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    d = _rays(x.ravel(), y.ravel(), axes, width, height)
    t, which = first_hits(things, origin, d)
    colour = shade(things, origin, d, t, which)
    edge = _edges(which.reshape(height, width))
    for i, (dx, dy) in enumerate(_SUBPIXELS):
        fine = _rays(x.ravel()[edge] + dx, y.ravel()[edge] + dy, axes, width, height)
        part = shade(things, origin, fine, *first_hits(things, origin, fine)) * np.float32(0.25)
        colour[:, edge] = colour[:, edge] + part if i else part
    forward = np.array(axes[0], np.float32)[:, None]
    depth = t * (d[0] * forward[0] + d[1] * forward[1] + d[2] * forward[2])
    depth = np.where(which == -2, 65535, np.minimum(np.rint(depth / DEPTH_UNIT_M), 65534))
    return (
        _displayed(colour).T.reshape(height, width, 3).copy(),
        depth.astype(np.uint16).reshape(height, width),
        _segment_colours(things)[which + 2].reshape(height, width, 3),
    )


def _camera(seconds: float) -> tuple[Vec, tuple[Vec, Vec, Vec]]:
    """(position, (forward, right, up)): driving down the street, looking about a little."""
    origin = (-4.0 + 2.4 * seconds, -1.0 + 0.5 * math.sin(0.7 * seconds), 2.9 + 0.25 * seconds)
    yaw, pitch = 0.10 * math.sin(0.8 * seconds + 0.4), -0.04 - 0.02 * seconds
    forward = (
        math.cos(pitch) * math.cos(yaw),
        math.cos(pitch) * math.sin(yaw),
        math.sin(pitch),
    )
    right = (math.sin(yaw), -math.cos(yaw), 0.0)
    up = (
        right[1] * forward[2],
        -right[0] * forward[2],
        right[0] * forward[1] - right[1] * forward[0],
    )
    return origin, (forward, right, up)


def _rays(x: Array, y: Array, axes: tuple[Vec, Vec, Vec], width: int, height: int) -> Array:
    """Unit directions (3, n) through pixel positions."""
    scale = np.float32(2 * math.tan(_FIELD_OF_VIEW / 2) / width)
    a = (x + np.float32(0.5 - width / 2)) * scale
    b = (np.float32(height / 2 - 0.5) - y) * scale
    forward, right, up = axes
    d = np.stack(
        [
            np.float32(f) + a * np.float32(r) + b * np.float32(u)
            for f, r, u in zip(forward, right, up, strict=True)
        ]
    )
    length: Array = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    return d / length


def _edges(which: Array) -> Array:
    """Flat indices of the pixels beside which another thing is seen."""
    edge = np.zeros(which.shape, bool)
    across, along = which[:, 1:] != which[:, :-1], which[1:] != which[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= along
    edge[:-1] |= along
    return np.flatnonzero(edge)


def _displayed(colour: Array) -> Array:
    """Linear light to 8-bit display values (a plain gamma of 2.2)."""
    return np.rint(np.clip(colour, 0, 1) ** np.float32(1 / 2.2) * 255).astype(np.uint8)


def _segment_colours(things: list[Thing]) -> Array:
    """The flat colour for each `which` of `first_hits`, shifted by two: sky, ground, things."""
    ids = [SKY_ID, GROUND_ID, *(t.id for t in things)]
    return id_colours(64)[ids]
