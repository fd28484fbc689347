"""Depth of any kind becomes one grey video over the whole clip: near is white."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.depth_range import DepthRange, range_of_spread
from cosmos_pipelines.media.depths.clip import Clip, Sides, sort_out
from cosmos_pipelines.media.depths.frames import DepthFrames
from cosmos_pipelines.media.depths.kinds import text_of
from cosmos_pipelines.media.in_order import paths_in_order
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer
from cosmos_pipelines.media.sources import Source

_BYTES_A_PIXEL: Final = 32
"""Of memory, while the values of a picture are counted."""


class DepthReader:
    """Greys of a depth pass, once all of its pictures were looked at."""

    def __init__(self, frames: DepthFrames, found: DepthRange, sides: Sides) -> None:
        self._frames, self._range, self._sides = frames, found, sides

    @classmethod
    def of(cls, source: Source, asked: Asked, step: Callable[[], None]) -> Self:
        """Look at all pictures of a pass; `step` is called after each.

        Raises:
            MediaError: one is damaged; or there is no depth in them: nothing was measured, every
                frame says one thing only, distances lie on both sides of 0, or outside of the range
                that is asked for.
        """
        frames, clip = DepthFrames(source, asked), Clip()

        def count(path: Path) -> Clip:
            return Clip.of(frames.read(path))

        each = _BYTES_A_PIXEL * source.width * source.height
        for one in paths_in_order(source.found.files, count, each=each):
            clip.add(one)
            step()
        return cls(frames, *_ranged(clip, frames, asked))

    def layers(self, _path: Path) -> list[Layer]:
        """The layer of depth; none of PNG."""
        return self._frames.layers()

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> Array:
        """(height, width) uint8.

        Raises:
            MediaError: the file is damaged.
        """
        frame = self._frames.read(path, values_of)
        values = frame.values
        if self._sides.negated:
            np.negative(values, out=values)
        elif self._range.values == "distance":
            values[values < 0] = np.nan
        grey = self._range.grey(values)
        if frame.seen is not None:
            grey[~frame.seen] = self._range.hole_level
        return grey

    def facts(self) -> dict[str, Any]:
        """How grey levels come from the values."""
        kind, camera = self._frames.kind, self._frames.camera
        more: dict[str, Any] = {"kind": kind.name}
        if kind.unit:
            more["unit"] = kind.unit
        if kind.radial:
            more["projection"] = "radial" if camera is None else "planar, of radial"
        if camera is not None:
            more["fov_degrees"] = round(camera.fov, 3)
        if self._sides.negated:
            more["negated"] = True
        if self._frames.is_half and "infinite" in self._range.nothing:
            more["overflow"] = True
        return {"depth": self._range.facts() | more}

    def notes(self) -> list[str]:
        """What the facts do not say; `told` has the rest in words."""
        named, label = self._frames.background, self._frames.label
        notes = []
        if self._frames.as_shown:
            notes.append(
                f"{label}: 8-bit pictures of what a video of depth shows are taken as near bright; "
                "`--depth planar --depth-holes none` takes larger values for farther"
            )
        if named is not None and text_of(named) not in self._range.nothing:
            notes.append(f"{label}: no pixel is {text_of(named)}, which `--background` names")
        return notes


def check_depths(source: Source, asked: Asked) -> None:
    """Refuse depth in which there is none, mostly after a look at one picture.

    The first, the middle and the last one are looked at until one has several depths; then all.

    Raises:
        MediaError: as `DepthReader.of`, where no picture has several depths.
    """
    frames, clip, files = DepthFrames(source, asked), Clip(), source.found.files
    for path in dict.fromkeys((files[0], files[len(files) // 2], files[-1], *files)):
        frame = Clip.of(frames.read(path))
        if len(frame.spread.counts) > 1:
            return
        clip.add(frame)
    _ranged(clip, frames, asked)


def _ranged(clip: Clip, frames: DepthFrames, asked: Asked) -> tuple[DepthRange, Sides]:
    label = frames.label
    if clip.frames_with_two == 0:
        raise MediaError(
            f"{label}: every frame has one depth only ({_said(clip)}): it controls nothing.",
            hint="Render depth, or take these pictures away to do without.",
        )
    kind = frames.kind
    near, far = kind.in_own_unit(asked.near), kind.in_own_unit(asked.far)
    sides = sort_out(clip, kind.values, far_given=far is not None)
    if sides.mixed:
        raise MediaError(
            f"{label}: {sides.mixed}.",
            hint="Where larger values are nearer: `--depth nearness`. A value that means nothing "
            "hit: `--background VALUE`.",
        )
    seen = _said(clip)
    found = range_of_spread(
        clip.spread,
        kind.values,
        asked.depth_holes or ("far" if kind.hollow else None),
        transparent=clip.transparent,
        nothing=clip.nothing,
        near=near,
        far=far,
    )
    if found is None:
        raise MediaError(
            f"{label}: no pixel of the depth pass has a distance: every value is {seen}.",
            hint="Render depth as distance.",
        )
    _check_given(found, asked, label)
    if frames.either and (frames.whole_numbers or 0 <= found.lowest <= found.highest <= 1):
        raise MediaError(
            f"{label}: V-Ray's depth is normalised here, and near may be white (3ds Max, Rhino, "
            "SketchUp) or black (Maya, Cinema 4D).",
            hint="Say which: `--depth nearness` where near is white, else `--depth planar "
            "--depth-holes none`; or render it unclamped, in floats.",
        )
    return found, sides


def _said(clip: Clip) -> str:
    spread = clip.spread
    ends = dict.fromkeys((*spread.lows[:1], *spread.highs[-1:]))
    words = [*(f"{end:.6g}" for end in ends), *clip.nothing]
    return " or ".join([*words, *(["transparent"] if clip.transparent else [])])


def _check_given(found: DepthRange, asked: Asked, label: str) -> None:
    """Refuse a range in which there is nothing: all would be white or black."""
    if not found.fixed:
        return
    given = [f"--{n} {v:g}" for n, v in (("near", asked.near), ("far", asked.far)) if v is not None]
    if found.highest <= found.low or found.lowest >= found.high or found.low >= found.high:
        raise MediaError(
            f"{label}: nothing lies within {' and '.join(given)}: its depths go from "
            f"{found.lowest:.6g} to {found.highest:.6g}.",
            hint="Give the range in the unit of these depths.",
        )
