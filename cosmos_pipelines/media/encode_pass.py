"""Make one pass's mp4 from its source, and say how it was made."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import writing
from cosmos_pipelines.media.containers import AGAIN
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.depth import grey_reader, range_of
from cosmos_pipelines.media.depth_range import DepthHoles, DepthValues
from cosmos_pipelines.media.encode import (
    CONTROL,
    EXACT,
    PICTURE,
    Array,
    Coding,
    coded,
    encode,
)
from cosmos_pipelines.media.files import hash_of, saying_why_not_read
from cosmos_pipelines.media.in_order import in_order
from cosmos_pipelines.media.png import read_rgb
from cosmos_pipelines.media.segmentation import Ids, colour_error, flat_colours
from cosmos_pipelines.media.sources import Source

T = TypeVar("T")
Facts = dict[str, Any]

VERSION = 2
"""Raised whenever the same source would give other pixels, so that nothing stale is reused."""

_CODING: dict[str, Coding] = {"color": PICTURE, "segmentation": EXACT}
_PLAYS_AS_IT_IS = {"segmentation": {"yuv420p", "yuv444p", "yuv444p10le", "gbrp"}}
_MANY_COLOURS = 1024


@dataclass(frozen=True)
class Plan:
    """What all passes have in common; the size is the sources' size cropped to even numbers."""

    width: int
    height: int
    fps: Fraction
    depth_values: DepthValues = "distance"
    depth_holes: DepthHoles | None = None


def steps(source: Source, plan: Plan) -> int:
    """How many steps `make` will tell: frames, twice where they are looked at twice."""
    if usable_as_it_is(source, plan):
        return 1
    twice = source.name == "segmentation" or (source.name == "depth" and not source.video)
    return source.frames * (2 if twice else 1)


def usable_as_it_is(source: Source, plan: Plan) -> bool:
    """Whether the source is a video whose very bytes can be the pass."""
    v = source.video
    return (
        v is not None
        and v.path.suffix.lower() == ".mp4"
        and v.codec == "h264"
        and v.steady
        and not v.shown.changes
        and v.pix_fmt in _PLAYS_AS_IT_IS.get(source.name, {"yuv420p"})
        and (v.color_space == "bt709" or v.pix_fmt == "gbrp")
        and (v.width, v.height, v.fps) == (plan.width, plan.height, plan.fps)
    )


def make(source: Source, target: Path, plan: Plan, step: Callable[[], None]) -> Facts:
    """Write `target` and return facts for scene.json: `made`, hash of the source, the pass's own.

    Raises:
        MediaError: a source frame is damaged or unsuitable.
        DiskFull: no room; nothing half-written is left.
    """
    if usable_as_it_is(source, plan):
        step()
        return _copy(source.found.files[0], target)
    if source.video:
        return _transcode(source, target, plan, step)
    if source.name == "depth":
        return _depth(source, target, plan, step)
    if source.name == "segmentation":
        return _segmentation(source, target, plan, step)
    return _pictures(source, target, plan, step)


def _copy(path: Path, target: Path) -> Facts:
    with writing(target) as part, saying_why_not_read(path):
        shutil.copyfile(path, part)
    return {"made": "copied", "source_sha256": hash_of(path)}


def _transcode(source: Source, target: Path, plan: Plan, step: Callable[[], None]) -> Facts:
    path = source.found.files[0]
    coding = _CODING.get(source.name, CONTROL)

    def pictures() -> Iterator[Array]:
        exact = source.name == "segmentation"
        return (p[: plan.height, : plan.width] for p in pictures_of(path, exact=exact))

    made = encode(_counted(pictures(), step), target, fps=plan.fps, coding=coding)
    if made.frames != source.frames:
        raise MediaError(
            f"{path}: only {made.frames} of its {source.frames} frames can be decoded.", hint=AGAIN
        )
    facts: Facts = {"made": "encoded", "source_sha256": hash_of(path)}
    if source.name == "segmentation":
        facts |= colour_error(target, _counted(pictures(), step)).facts()
    return facts


def _pictures(source: Source, target: Path, plan: Plan, step: Callable[[], None]) -> Facts:
    coding = _CODING.get(source.name, CONTROL)
    hasher = hashlib.sha256()

    def read(data: bytes, path: Path) -> av.VideoFrame:
        return coded(read_rgb(data, path)[: plan.height, : plan.width], coding)

    frames = in_order(source.found.files, read, hasher)
    encode(_counted(frames, step), target, fps=plan.fps, coding=coding)
    return {"made": "encoded", "source_sha256": hasher.hexdigest()}


def _depth(source: Source, target: Path, plan: Plan, step: Callable[[], None]) -> Facts:
    hasher = hashlib.sha256()
    files, holes = source.found.files, plan.depth_holes
    found = range_of(files, plan.depth_values, step, hasher, holes=holes)
    frames = in_order(files, grey_reader(found, plan.width, plan.height))
    encode(_counted(frames, step), target, fps=plan.fps, coding=CONTROL)
    return {"made": "encoded", "source_sha256": hasher.hexdigest(), "depth": found.facts()}


def _segmentation(source: Source, target: Path, plan: Plan, step: Callable[[], None]) -> Facts:
    assert source.picture
    hasher, ids = hashlib.sha256(), Ids()
    read_colours = ids.read if source.picture.grey else read_rgb

    def read(data: bytes, path: Path) -> Array:
        return read_colours(data, path)[: plan.height, : plan.width]

    def pictures(hasher: Any = None) -> Iterator[Array]:
        return _counted(in_order(source.found.files, read, hasher), step)

    frames = pictures(hasher)
    first = next(frames)
    encode(itertools.chain([first], frames), target, fps=plan.fps, coding=EXACT)
    facts: Facts = {"made": "encoded", "source_sha256": hasher.hexdigest()}
    facts |= colour_error(target, pictures()).facts()
    if source.picture.grey:
        facts |= ids.facts()
    elif (colours := flat_colours(first)) > _MANY_COLOURS:
        facts["notes"] = [
            f"{source.found.label}: {colours} colours in the first frame; "
            "segments look antialiased or shaded"
        ]
    return facts


def _counted(items: Iterable[T], step: Callable[[], None]) -> Iterator[T]:
    for item in items:
        yield item
        step()
