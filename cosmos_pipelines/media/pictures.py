"""Small pictures of a video, for pages and lists: a moving preview and a thumbnail."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, WebPImagePlugin  # noqa: F401  # else PIL imports sixty others to save one

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import saying_why_not_written, writing
from cosmos_pipelines.media.decode import frames_of
from cosmos_pipelines.media.encode import Array, reformatted
from cosmos_pipelines.media.probe import Probe, probe

_DARK = 16
"""Mean brightness (of 255) below which a frame says nothing in a thumbnail."""
_WIDTH = 320
_MOVING = 24
"""Frames of a preview at most."""
_LOOKED_AT = 5
"""Frames from which a thumbnail is chosen."""


def preview(video: Path, dest: Path) -> Path:
    """Write an animated WebP of at most 24 frames that lasts as long as the video.

    Raises:
        MediaError: the video cannot be used.
        DiskFull: no room; nothing half-written is left.
    """
    facts = probe(video)
    chosen = spread(facts.frames, _MOVING)
    _write_moving(list(_shrunk(video, facts, chosen, _WIDTH).values()), facts, dest)
    return dest


def preview_and_thumbnail(facts: Probe, moving: Path, still: Path) -> None:
    """Write a preview of the video that was just measured as `facts`, and a thumbnail.

    The thumbnail is a JPEG of the first of a few spread frames that is not black. The video is
    decoded once.

    Raises:
        MediaError: the video cannot be used.
        DiskFull: no room; nothing half-written is left.
    """
    in_preview = spread(facts.frames, _MOVING)
    looked_at = spread(facts.frames, _LOOKED_AT)
    pictures = _shrunk(facts.path, facts, {*in_preview, *looked_at}, _WIDTH)
    _write_moving([p for n, p in pictures.items() if n in in_preview], facts, moving)
    _write_still([p for n, p in pictures.items() if n in looked_at], still)


def still(video: Path, dest: Path) -> Path:
    """Write a JPEG of the first frame of a video, or of one a second later if that is black.

    Raises:
        MediaError: the video cannot be used.
        DiskFull: no room; nothing half-written is left.
    """
    facts = probe(video)
    chosen = {0, min(facts.frames - 1, round(facts.fps))}
    _write_still(_shrunk(video, facts, chosen, _WIDTH).values(), dest)
    return dest


def _write_moving(pictures: list[Array], facts: Probe, dest: Path) -> None:
    images = [Image.fromarray(picture) for picture in pictures]
    duration_ms = max(20, round(1000 * facts.duration_s / len(images)))
    with _whole(dest) as part:
        images[0].save(
            part,
            format="WEBP",
            save_all=True,
            append_images=images[1:],
            duration=duration_ms,
            loop=0,
            quality=70,
            method=2,
        )


def _write_still(pictures: Iterable[Array], dest: Path) -> None:
    best: Array | None = None
    for picture in pictures:
        if best is None or best.mean() < _DARK:
            best = picture
    assert best is not None
    with _whole(dest) as part:
        Image.fromarray(best).save(part, format="JPEG", quality=85)


def spread(frames: int, most: int) -> list[int]:
    """At most `most` frame numbers, evenly over 0..frames-1, the first always among them."""
    count = min(frames, max(1, most))
    return [i * frames // count for i in range(count)]


@contextmanager
def _whole(dest: Path) -> Iterator[Path]:
    with saying_why_not_written(dest):
        dest.parent.mkdir(parents=True, exist_ok=True)
    with writing(dest) as part:
        yield part


def _shrunk(video: Path, facts: Probe, chosen: Collection[int], width: int) -> dict[int, Array]:
    """The chosen frames as RGB arrays of that width, by their number, in order."""
    width = min(width, facts.width)
    height = max(1, round(facts.height * width / facts.width))
    as_coded = (width, height) if facts.shown.turn[0] else (height, width)
    size = dict(zip(("width", "height"), as_coded, strict=True))
    wanted, found = set(chosen), dict[int, Array]()
    for n, frame in enumerate(frames_of(video, facts.shown)):
        if n in wanted:
            small = reformatted(frame, **size, format="rgb24", interpolation="AREA")
            found[n] = np.ascontiguousarray(facts.shown.turned(small.to_ndarray()))
            if len(found) == len(wanted):
                break
    if not found:
        raise MediaError(f"{video} cannot be decoded: no picture comes out.")
    return found
