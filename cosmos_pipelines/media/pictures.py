"""Small pictures of a video, for pages and lists: a moving preview, a thumbnail, a sheet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import saying_why_not_written, writing
from cosmos_pipelines.media.decode import frames_of
from cosmos_pipelines.media.encode import Array, reformatted
from cosmos_pipelines.media.probe import Probe, probe

_DARK = 16
"""Mean brightness (of 255) below which a frame says nothing in a thumbnail."""


def preview(video: Path, dest: Path, *, width: int = 320, max_frames: int = 24) -> Path:
    """Write an animated WebP of at most `max_frames` frames that lasts as long as the video.

    Raises:
        MediaError: the video cannot be used.
        DiskFull: no room; nothing half-written is left.
    """
    facts = probe(video)
    chosen = spread(facts.frames, max_frames)
    pictures = [Image.fromarray(p) for _, p in _shrunk(video, facts, chosen, width)]
    duration_ms = max(20, round(1000 * facts.duration_s / len(pictures)))
    with _whole(dest) as part:
        pictures[0].save(
            part,
            format="WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=duration_ms,
            loop=0,
            quality=70,
            method=2,
        )
    return dest


def thumbnail(video: Path, dest: Path, *, width: int = 320) -> Path:
    """Write a JPEG of the first of a few spread frames that is not black.

    Raises:
        MediaError: the video cannot be used.
        DiskFull: no room; nothing half-written is left.
    """
    facts = probe(video)
    best: Array | None = None
    for _, picture in _shrunk(video, facts, spread(facts.frames, 5), width):
        if best is None or best.mean() < _DARK:
            best = picture
    assert best is not None
    with _whole(dest) as part:
        Image.fromarray(best).save(part, format="JPEG", quality=85)
    return dest


def contact_sheet(
    video: Path, dest: Path, *, columns: int = 4, rows: int = 3, width: int = 1280
) -> Path:
    """Write a JPEG `width` pixels wide with columns x rows frames spread over the video.

    Raises:
        MediaError: the video cannot be used.
        DiskFull: no room; nothing half-written is left.
    """
    facts = probe(video)
    cell = max(2, width // columns)
    sheet: Image.Image | None = None
    for n, (_, picture) in enumerate(
        _shrunk(video, facts, spread(facts.frames, columns * rows), cell)
    ):
        height = picture.shape[0]
        sheet = sheet or Image.new("RGB", (cell * columns, height * rows))
        sheet.paste(Image.fromarray(picture), (n % columns * cell, n // columns * height))
    assert sheet is not None
    with _whole(dest) as part:
        sheet.save(part, format="JPEG", quality=85)
    return dest


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


def _shrunk(
    video: Path, facts: Probe, chosen: list[int], width: int
) -> Iterator[tuple[int, Array]]:
    """The chosen frames as RGB arrays of that width, in order."""
    width = min(width, facts.width)
    height = max(1, round(facts.height * width / facts.width))
    as_coded = (width, height) if facts.shown.turn[0] else (height, width)
    size = dict(zip(("width", "height"), as_coded, strict=True))
    wanted = set(chosen)
    found = 0
    for n, frame in enumerate(frames_of(video, facts.shown)):
        if n in wanted:
            found += 1
            small = reformatted(frame, **size, format="rgb24", interpolation="AREA")
            yield n, np.ascontiguousarray(facts.shown.turned(small.to_ndarray()))
            if found == len(wanted):
                return
    if not found:
        raise MediaError(f"{video} cannot be decoded: no picture comes out.")
