"""Videos that are shown otherwise than their pixels lie, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.media import renders
from tests.media.foreign import ffmpeg
from tests.media.renders import Array

TURNS = {
    "turned left by 90 degrees": (0, -1, 1, 0),
    "turned right by 90 degrees": (0, 1, -1, 0),
    "turned by 180 degrees": (-1, 0, 0, -1),
    "mirrored left to right": (-1, 0, 0, 1),
    "mirrored top to bottom": (1, 0, 0, -1),
    "turned left by 90 degrees and mirrored top to bottom": (0, 1, 1, 0),
    "turned right by 90 degrees and mirrored top to bottom": (0, -1, -1, 0),
}
"""What a player does, and the display matrix that asks for it."""


def turned(path: Path, matrix: Sequence[float], frames: int = 3, codec: str = "libx264") -> Path:
    """A video without loss, coded 64x48, with a display matrix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    a, b, c, d = (round(x * 65536) for x in matrix)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=24, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(renders.colour(i), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


PQ, HLG, BT709, BT2020 = 16, 18, 1, 9
"""Colour flags by the numbers of ITU-T H.273."""

_TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""Linear BT.709 to linear BT.2020 (ITU-R BT.2087)."""


def wide(path: Path, light: Array, transfer: int, frames: int = 2) -> Path:
    """(height, width, 3) of linear BT.709 light, 1 = the white of paper, as 10-bit BT.2020.

    Paper is 203 candela a square metre in HDR (ITU-R BT.2408).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    signal = _signal(light @ _TO_2020.T, transfer)
    red, green, blue = 0.2627, 0.6780, 0.0593
    luma = signal @ np.array([red, green, blue])
    planes = [
        64 + 876 * luma,
        512 + 896 * (signal[..., 2] - luma) / (2 - 2 * blue),
        512 + 896 * (signal[..., 0] - luma) / (2 - 2 * red),
    ]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"qp": "0"})
        stream.height, stream.width = light.shape[:2]
        stream.pix_fmt = "yuv444p10le"
        context = stream.codec_context
        context.color_primaries, context.colorspace, context.color_range = BT2020, BT2020, 1
        context.color_trc = transfer
        for i in range(frames):
            frame = av.VideoFrame(stream.width, stream.height, "yuv444p10le")
            for plane, values in zip(frame.planes, planes, strict=True):
                rows = np.zeros((stream.height, plane.line_size // 2), "<u2")
                rows[:, : stream.width] = np.rint(values)
                plane.update(rows.tobytes())
            frame.color_primaries, frame.color_trc, frame.color_range = BT2020, transfer, 1
            frame.colorspace, frame.pts, frame.time_base = BT2020, i, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _signal(light: Array, transfer: int) -> Array:
    if transfer == PQ:  # SMPTE ST 2084
        y = np.clip(light * 203 / 10000, 0, 1) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375
    if transfer == HLG:  # ITU-R BT.2100, display of 1000 candela a square metre
        shown = light * 203 / 1000
        luma = shown @ np.array([0.2627, 0.6780, 0.0593])
        scene = shown * np.maximum(luma, 1e-6)[..., None] ** (1 / 1.2 - 1)
        high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-6)) + 0.55991073
        return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    return np.where(light < 0.018, 4.5 * light, 1.099 * np.clip(light, 0, 1) ** 0.45 - 0.099)


def fields(frames: int, width: int = 64, height: int = 48, top_first: bool = True) -> list[Array]:
    """Interlaced pictures of a white bar on black that moves 4 pixels from field to field."""
    found = []
    for i in range(frames):
        picture = np.zeros((height, width, 3), np.uint8)
        for row in range(height):
            late = (row % 2 == 1) == top_first
            x = 8 * i + 4 * late + 6
            picture[row, x : x + 12] = 255
        found.append(picture)
    return found


def interlaced(path: Path, frames: int = 5, top_first: bool = True) -> Path:
    """H.264 with interlaced coding."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = path.with_suffix(".rgb")
    raw.write_bytes(np.stack(fields(frames, top_first=top_first)).tobytes())
    first = "tff" if top_first else "bff"
    ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48", "-r", 25, "-i", raw),
        *("-vf", f"setfield={first}", "-c:v", "libx264", "-qp", 0, "-pix_fmt", "yuv444p"),
        *("-flags", "+ilme+ildct", "-x264-params", f"{first}=1", path),
    )
    return path
