"""Make one pass's mp4 from its source, and say how it was made."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import writing
from cosmos_pipelines.media import of_layers
from cosmos_pipelines.media.asked import AS_USUAL, Asked
from cosmos_pipelines.media.containers import AGAIN
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.depth import grey_reader, range_of
from cosmos_pipelines.media.depths.kinds import is_plain, kind_of
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
from cosmos_pipelines.media.fingerprints import content_of
from cosmos_pipelines.media.in_order import in_order
from cosmos_pipelines.media.of_layers import needs_reader, reader_of
from cosmos_pipelines.media.png import read_rgb
from cosmos_pipelines.media.segmentation import (
    MANY_COLOURS,
    Ids,
    colour_error,
    flat_colours,
    many_colours,
)
from cosmos_pipelines.media.shared_files import Facts, OfLayers, counted, make_together
from cosmos_pipelines.media.sources import Source

VERSION = 3
"""Raised whenever the same source would give other pixels, so that nothing stale is reused."""

_CODING: dict[str, Coding] = {"color": PICTURE, "segmentation": EXACT}
_PLAYS_AS_IT_IS = {"segmentation": {"yuv420p", "yuv444p", "yuv444p10le", "gbrp"}}


@dataclass(frozen=True)
class Plan:
    """What all passes have in common; the size is the sources' size cropped to even numbers."""

    width: int
    height: int
    fps: Fraction
    asked: Asked = AS_USUAL


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
        and source.found.part is None
        and v.path.suffix.lower() == ".mp4"
        and v.codec == "h264"
        and v.steady
        and not v.shown.changes
        and v.pix_fmt in _PLAYS_AS_IT_IS.get(source.name, {"yuv420p"})
        and (v.color_space == "bt709" or v.pix_fmt == "gbrp")
        and (v.width, v.height, v.fps) == (plan.width, plan.height, plan.fps)
    )


def make(source: Source, target: Path, plan: Plan, step: Callable[[], None]) -> Facts:
    """As `make_all`, of one pass."""
    return make_all([PassToMake(source, target, step)], plan)[0]


@dataclass(frozen=True)
class PassToMake:
    """A pass to make: of what, where to, and what to call after each of its `steps`."""

    source: Source
    target: Path
    step: Callable[[], None]


def make_all(jobs: Sequence[PassToMake], plan: Plan) -> list[Facts]:
    """Write each target and return facts for scene.json: `made`, hash of the source, its own.

    What can be known of the sources is looked at first, and the whole range of depths: no video is
    begun before. Passes whose files are the same are made together, in one look at each file.

    Raises:
        MediaError: a source frame is damaged or unsuitable.
        DiskFull: no room; nothing half-written is left.
    """
    last_of_all = [job for job in jobs if job.source.name == "depth"]  # it looks at all pictures
    ready = {
        job.source.name: _ready(job, plan)
        for job in [*(job for job in jobs if job not in last_of_all), *last_of_all]
    }
    facts: dict[str, Facts] = {}
    for job in jobs:
        mine = ready[job.source.name]
        if job.source.name in facts:
            continue
        if not isinstance(mine, OfLayers):
            facts[job.source.name] = mine()
            continue
        files = job.source.found.files
        together = [
            one
            for one in ready.values()
            if isinstance(one, OfLayers) and one.source.found.files == files
        ]
        made = make_together(together, plan.fps)
        facts |= {one.source.name: told for one, told in zip(together, made, strict=True)}
    return [facts[job.source.name] for job in jobs]


def _ready(job: PassToMake, plan: Plan) -> OfLayers | Callable[[], Facts]:
    """What makes the pass, once all is known of its source that is to be known before."""
    source, target, step = job.source, job.target, job.step
    if usable_as_it_is(source, plan):
        return partial(_copy, source.found.files[0], target, step)
    if source.video:
        return partial(_transcode, source, target, plan, step)
    if _by_reader(source, plan):
        return OfLayers(
            source,
            reader_of(source, plan.asked, step),
            target,
            _CODING.get(source.name, CONTROL),
            plan.height,
            plan.width,
            step,
            checked=source.name == "segmentation",
        )
    if source.name == "depth":
        return _depth(source, target, plan, step)
    if source.name == "segmentation":
        return partial(_segmentation, source, target, plan, step)
    return partial(_pictures, source, target, plan, step)


def check(source: Source, plan: Plan) -> None:
    """Refuse what is wrong with a pass of pictures, as far as a short look tells.

    Raises:
        MediaError: as `make`.
    """
    if not source.video and _by_reader(source, plan):
        of_layers.check(source, plan.asked)


def _by_reader(source: Source, plan: Plan) -> bool:
    values = source.name == "depth" and not is_plain(source, plan.asked)
    return values or needs_reader(source, plan.asked)


def _copy(path: Path, target: Path, step: Callable[[], None]) -> Facts:
    step()
    with writing(target) as part, saying_why_not_read(path):
        shutil.copyfile(path, part)
    return {"made": "copied", "source_sha256": hash_of(path)}


def _transcode(source: Source, target: Path, plan: Plan, step: Callable[[], None]) -> Facts:
    path = source.found.files[0]
    coding = _CODING.get(source.name, CONTROL)

    first, frames = source.found.part or (0, None)

    def pictures() -> Iterator[Array]:
        found = pictures_of(path, exact=source.name == "segmentation", first=first)
        return (p[: plan.height, : plan.width] for p in itertools.islice(found, frames))

    made = encode(counted(pictures(), step), target, fps=plan.fps, coding=coding)
    if made.frames != source.frames:
        raise MediaError(
            f"{path}: only {made.frames} of its {source.frames} frames can be decoded.", hint=AGAIN
        )
    facts: Facts = {"made": "encoded", "source_sha256": content_of(source.found)}
    if source.name == "segmentation":
        facts |= colour_error(target, counted(pictures(), step)).facts()
    return facts


def _pictures(source: Source, target: Path, plan: Plan, step: Callable[[], None]) -> Facts:
    coding = _CODING.get(source.name, CONTROL)
    hasher = hashlib.sha256()

    def read(data: bytes, path: Path) -> av.VideoFrame:
        return coded(read_rgb(data, path)[: plan.height, : plan.width], coding)

    frames = in_order(source.found.files, read, hasher)
    encode(counted(frames, step), target, fps=plan.fps, coding=coding)
    return {"made": "encoded", "source_sha256": hasher.hexdigest()}


def _depth(
    source: Source, target: Path, plan: Plan, step: Callable[[], None]
) -> Callable[[], Facts]:
    """What makes a pass of plain PNG, whose range is measured here."""
    hasher = hashlib.sha256()
    files, holes = source.found.files, plan.asked.depth_holes
    kind = kind_of(source, plan.asked)
    found = range_of(files, kind.values, step, hasher, holes=holes)

    def made() -> Facts:
        frames = in_order(files, grey_reader(found, plan.width, plan.height))
        encode(counted(frames, step), target, fps=plan.fps, coding=CONTROL)
        return {
            "made": "encoded",
            "source_sha256": hasher.hexdigest(),
            "depth": found.facts() | {"kind": kind.name},
        }

    return made


def _segmentation(source: Source, target: Path, plan: Plan, step: Callable[[], None]) -> Facts:
    assert source.picture
    hasher, ids = hashlib.sha256(), Ids()
    read_colours = ids.read if source.picture.grey else read_rgb

    def read(data: bytes, path: Path) -> Array:
        return read_colours(data, path)[: plan.height, : plan.width]

    def pictures(hasher: Any = None) -> Iterator[Array]:
        return counted(in_order(source.found.files, read, hasher), step)

    frames = pictures(hasher)
    first = next(frames)
    encode(itertools.chain([first], frames), target, fps=plan.fps, coding=EXACT)
    facts: Facts = {"made": "encoded", "source_sha256": hasher.hexdigest()}
    facts |= colour_error(target, pictures()).facts()
    if source.picture.grey:
        facts |= ids.facts()
    elif (colours := flat_colours(first)) > MANY_COLOURS:
        facts["notes"] = [many_colours(source.found.label, colours)]
    return facts
