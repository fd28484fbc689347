"""Tiny scenes with colour, depth and segmentation in real H.264, and their decoded pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from cosmos_pipelines.operations import Video

Pixels = NDArray[np.uint8]


def write_video(path: Path, pictures: Iterable[Pixels], fps: Fraction | int = 24) -> Path:
    """Write (height, width, 3) RGB pictures as H.264, BT.709; odd sides are kept (4:4:4)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate, stream = Fraction(fps), None
    with av.open(str(path), "w") as out:
        for i, picture in enumerate(pictures):
            if stream is None:
                stream = out.add_stream("libx264", rate=rate, options={"crf": "12"})
                stream.height, stream.width = picture.shape[:2]
                odd = stream.height % 2 or stream.width % 2
                stream.pix_fmt = "yuv444p" if odd else "yuv420p"
                coder = stream.codec_context
                coder.thread_count, coder.colorspace, coder.color_range = 1, 1, 1
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace="ITU709")
            frame.pts, frame.time_base = i, 1 / rate
            out.mux(stream.encode(frame))
        if stream is not None:
            out.mux(stream.encode(None))
    return path


def write_scene(
    directory: Path,
    *,
    frames: int = 6,
    width: int = 96,
    height: int = 64,
    fps: Fraction | int = 24,
) -> Path:
    """Write `color`, `depth` and `segmentation` of a house on a plain; the camera moves."""
    scenes = [_scene(i, width, height) for i in range(frames)]
    for n, name in enumerate(("color", "depth", "segmentation")):
        write_video(directory / f"{name}.mp4", (scene[n] for scene in scenes), fps)
    return directory


def _scene(i: int, width: int, height: int) -> tuple[Pixels, Pixels, Pixels]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y, x = y / height, (x + i) / width
    ground = y > 0.45
    near = np.where(ground, (y - 0.45) / 0.55, 0.0)
    color = np.where(ground[..., None], [0.45, 0.5, 0.3], [0.55, 0.7, 0.9])
    color = color + 0.06 * np.sin(40 * x + 9 * y)[..., None]
    segment = np.where(ground[..., None], [0.2, 0.8, 0.3], [0.0, 0.0, 0.0])
    house = (x > 0.3) & (x < 0.62) & (y > 0.2) & (y < 0.7)
    window = house & (np.sin(x * 45) > 0.5) & (np.sin(y * 45) > 0.3)
    color = np.where(house[..., None], [0.75, 0.35, 0.25], color)
    color = np.where(window[..., None], [0.1, 0.12, 0.2], color)
    near = np.where(house, 0.7, near)
    segment = np.where(house[..., None], [0.9, 0.2, 0.6], segment)
    return _bytes(color), _bytes(np.repeat(near[..., None], 3, axis=-1)), _bytes(segment)


def _bytes(picture: NDArray[np.float64]) -> Pixels:
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


def measured(path: Path) -> Video:
    """Return a video with the facts that the catalog has."""
    content = path.read_bytes()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return Video(
            path=str(path),
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            width=stream.width,
            height=stream.height,
            frames=stream.frames,
            fps=str(stream.average_rate),
        )


def pixels(path: Path) -> Pixels:
    """Return all frames, (frames, height, width, 3) RGB."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
