"""Picture sizes and clip lengths as NVIDIA's models count them. Pure.

A model works in one of a few sizes, the bucket of the nearest aspect, into which it stretches what
it is given; and in chunks of a fixed number of frames, each of which costs the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.base import Video

Size = tuple[int, int]
"""Width and height in pixels."""

ASPECTS: Final[Mapping[str, float]] = {
    "1:1": 1.0,
    "4:3": 4 / 3,
    "3:4": 3 / 4,
    "16:9": 16 / 9,
    "9:16": 9 / 16,
}

SIZES_720: Final[Mapping[str, Size]] = {
    "1:1": (960, 960),
    "4:3": (960, 704),
    "3:4": (704, 960),
    "16:9": (1280, 704),
    "9:16": (704, 1280),
}
"""Working sizes at 720 lines, the same for all families."""

LONGEST: Final = 5000
"""Frames that the models read of a clip; the rest is left out without a word."""


def aspect_of(width: int, height: int) -> str:
    """The name of the aspect that is nearest to a picture's."""
    return min(ASPECTS, key=lambda name: abs(ASPECTS[name] - width / height))


def stretched(video: Video, size: Size) -> str | None:
    """What a resize to `size` does to the picture, in a sentence; None if it does nothing."""
    width, height = size
    if (video.width, video.height) == size:
        return None
    change = (width / height) / (video.width / video.height)
    said = f"{video.width}x{video.height} is resized to {width}x{height}"
    if abs(change - 1) < 0.002:
        return f"{said}."
    return f"{said}: things become {abs(change - 1):.1%} {'wider' if change > 1 else 'narrower'}."


def cropped(video: Video, size: Size) -> str | None:
    """What scaling to cover `size` and cutting the rest off does; None if it does nothing."""
    width, height = size
    if (video.width, video.height) == size:
        return None
    scale = max(width / video.width, height / video.height)
    lost = {"width": 1 - width / (scale * video.width)}
    lost["height"] = 1 - height / (scale * video.height)
    side = max(lost, key=lambda name: lost[name])
    said = f"{video.width}x{video.height} is scaled to {width}x{height}"
    return (
        f"{said}." if lost[side] < 0.002 else f"{said}: {lost[side]:.1%} of its {side} is cut off."
    )


def chunks_of(frames: int, length: int, overlap: int) -> int:
    """How many chunks of `length` frames, each sharing `overlap` with the one before, a clip takes.

    Both families count so: `ceil((T - 1) / 120)` is this with 121 and 1.
    """
    return 1 + max(0, ceil((frames - length) / (length - overlap)))


def chunk_notes(frames: int, length: int, overlap: int, short: str) -> list[str]:
    """What the length of a clip means for its price and its quality; `short`: less than a chunk."""
    chunks = chunks_of(frames, length, overlap)
    if frames < length:
        return [f"{frames} frames cost as much as {length}, and {short}."]
    fewer = length + (chunks - 2) * (length - overlap)
    full = length + (chunks - 1) * (length - overlap)
    if chunks == 1 or frames == full:
        return [f"{frames} frames cost {_chunks(chunks)}."]
    return [
        f"{frames} frames cost {_chunks(chunks)}; {fewer} would cost {_chunks(chunks - 1)}, "
        f"{full} would cost the same as {frames}."
    ]


def check_length(video: Video, least: int = 2, most: int | None = LONGEST) -> None:
    """Refuse a clip that a model would crash on, or cut in silence.

    Raises:
        InputError: it has fewer frames than `least`, or more than `most`.
    """
    if video.frames < least:
        raise InputError(
            f"{video.path} has {video.frames} frame(s); the model needs at least {least}.",
            hint="Render a longer clip: best are the lengths at which a chunk is full.",
        )
    if most is not None and video.frames > most:
        raise InputError(
            f"{video.path} has {video.frames:,} frames; the model reads the first {most:,} and "
            "leaves out the rest.",
            hint="Cut the scene into shorter ones.",
        )


def check_agrees(name: str, video: Video, color: Video) -> None:
    """Refuse a control that does not fit the colour pass.

    Raises:
        InputError: it has another length (the model would cut or hang) or another aspect.
    """
    if video.frames != color.frames:
        raise InputError(
            f"The pass {name!r} has {video.frames} frames, color has {color.frames}: {video.path}.",
            hint="Render both to the same length.",
        )
    mine, theirs = aspect_of(video.width, video.height), aspect_of(color.width, color.height)
    if mine != theirs:
        raise InputError(
            f"The pass {name!r} is {video.width}x{video.height} ({mine}), color is "
            f"{color.width}x{color.height} ({theirs}): {video.path}.",
            hint="Render both in the same aspect.",
        )


def _chunks(count: int) -> str:
    words = {1: "one chunk", 2: "two chunks", 3: "three chunks", 4: "four chunks"}
    return words.get(count, f"{count} chunks")
