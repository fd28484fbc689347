"""Videos of the true size, length and rate, whose frames are one shade of grey each.

The shade of a frame is the mean luma of the source's frame, so that a test can see which frame of
the source it stands for. Every video has a title that begins with SIMULATED.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from .behaviour import Told, missing

MOST_FRAMES = 5000
EIGHT_BIT_LUMA_FIRST = {"yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "gray"}


@dataclass(frozen=True)
class Clip:
    """A video as its size, rate and the mean luma of each frame."""

    width: int
    height: int
    rate: Fraction
    lumas: tuple[int, ...]

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return len(self.lumas)


def read(path: str, most: int = MOST_FRAMES) -> Clip:
    """Read a video or an image; FileNotFoundError, or ValueError for what is no video."""
    if not Path(path).exists():
        raise missing(path)
    lumas: list[int] = []
    try:
        with av.open(path) as file:
            stream = file.streams.video[0]
            stream.thread_type = "AUTO"
            rate = Fraction(stream.average_rate or 24)
            for frame in file.decode(stream):
                if len(lumas) == most:
                    break
                lumas.append(mean_luma(frame))
            return Clip(stream.width, stream.height, rate, tuple(lumas))
    except (av.FFmpegError, IndexError) as fault:
        raise ValueError(f"Invalid video file: {path}: {fault}") from fault


def mean_luma(frame: av.VideoFrame) -> int:
    """A frame's mean luma, rounded."""
    if frame.format.name not in EIGHT_BIT_LUMA_FIRST:
        frame = frame.reformat(format="yuv420p")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return round(float(rows[: frame.height, : frame.width].mean()))


def write(path: Path, clip: Clip, what: str) -> None:
    """Write the shades of a clip; lossless for flat frames, one second for 121 frames in 4K."""
    options = {"preset": "ultrafast", "qp": "6", "g": "1000"}
    with av.open(str(path), "w") as out:
        out.metadata["title"] = f"SIMULATED {what}"
        stream = out.add_stream("libx264", rate=clip.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
        frame, before = None, None
        for i, luma in enumerate(clip.lumas):
            if frame is None or luma != before:
                frame, before = grey(clip.width, clip.height, luma), luma
            frame.pts, frame.time_base = i, 1 / clip.rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def grey(width: int, height: int, luma: int) -> av.VideoFrame:
    """A frame of one shade."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, (luma, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


def spoilt(clip: Clip, sample: Told) -> Clip:
    """The clip as a sample is told to spoil it."""
    if "wrong_size" in sample:
        clip = replace(clip, width=clip.width // 4 * 2, height=clip.height // 4 * 2)
    if "short" in sample:
        clip = replace(clip, lumas=clip.lumas[: max(1, clip.frames // 2)])
    return clip
