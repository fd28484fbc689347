"""Picture sizes and clip lengths for NVIDIA's models. Pure.

A model works in one of a few sizes: the size of the nearest aspect, to which the model stretches
its input. It works in chunks of a fixed number of frames; every chunk costs the same.
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
"""Frames that the models read of a clip; the models ignore later frames without a message."""


def aspect_of(width: int, height: int) -> str:
    """Return the name of the aspect that is nearest to a picture's aspect."""
    return min(ASPECTS, key=lambda name: abs(ASPECTS[name] - width / height))


def stretched(video: Video, size: Size) -> str | None:
    """Say what a resize to `size` does to the picture; None if the size is the same."""
    width, height = size
    if (video.width, video.height) == size:
        return None
    change = (width / height) / (video.width / video.height)
    resized = f"{video.width}x{video.height} is resized to {width}x{height}"
    if abs(change - 1) < 0.002:
        return f"{resized}."
    return (
        f"{resized}: things become {abs(change - 1):.1%} {'wider' if change > 1 else 'narrower'}."
    )


def cropped(video: Video, size: Size) -> str | None:
    """Say what scaling to cover `size` and cutting the rest does; None if the size is the same."""
    width, height = size
    if (video.width, video.height) == size:
        return None
    scale = max(width / video.width, height / video.height)
    lost = {"width": 1 - width / (scale * video.width)}
    lost["height"] = 1 - height / (scale * video.height)
    side = max(lost, key=lambda name: lost[name])
    scaled = f"{video.width}x{video.height} is scaled to {width}x{height}"
    return (
        f"{scaled}."
        if lost[side] < 0.002
        else f"{scaled}: {lost[side]:.1%} of its {side} is cut off."
    )


def chunks_of(frames: int, length: int, overlap: int) -> int:
    """Return the number of chunks of `length` frames in a clip; chunks overlap by `overlap` frames.

    Both families count so: `ceil((T - 1) / 120)` is this formula with 121 and 1.
    """
    return 1 + max(0, ceil((frames - length) / (length - overlap)))


def chunk_notes(frames: int, length: int, overlap: int, short: str) -> list[str]:
    """Say what a clip's length means for cost and quality; `short`: the note for a short clip."""
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
    """Refuse a clip on which a model would crash, or which it would cut without a message.

    Raises:
        InputError: the clip has fewer frames than `least`, or more than `most`.
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
            hint="Cut the scene into shorter scenes.",
        )


def check_agrees(name: str, video: Video, color: Video) -> None:
    """Refuse a control that does not fit the colour pass.

    Raises:
        InputError: the control has another length (the model would cut or hang) or aspect.
    """
    if video.frames != color.frames:
        raise InputError(
            f"The pass {name!r} has {video.frames} frames, color has {color.frames}: {video.path}.",
            hint="Render both passes to the same length.",
        )
    aspect, color_aspect = (
        aspect_of(video.width, video.height),
        aspect_of(color.width, color.height),
    )
    if aspect != color_aspect:
        raise InputError(
            f"The pass {name!r} is {video.width}x{video.height} ({aspect}), color is "
            f"{color.width}x{color.height} ({color_aspect}): {video.path}.",
            hint="Render both passes in the same aspect.",
        )


def _chunks(count: int) -> str:
    words = {1: "one chunk", 2: "two chunks", 3: "three chunks", 4: "four chunks"}
    return words.get(count, f"{count} chunks")
