"""Encode pictures to H.264 mp4 with BT.709 tags, exact rate and time base, whole or not at all."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import writing
from cosmos_pipelines.media.probe import Probe, probe

Array = npt.NDArray[Any]
_BT709, _TV = 1, 1  # ITU-T H.273 code points; 1 is also FFmpeg's number for limited range


@dataclass(frozen=True)
class Coding:
    """How pixels are stored: FFmpeg's pixel format and libx264's options."""

    pix_fmt: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def even(self) -> bool:
        """Whether width and height must be even (chroma is subsampled)."""
        return "420" in self.pix_fmt


PICTURE = Coding("yuv420p", {"crf": "18", "preset": "medium"})
"""Colour for people and models: visually lossless, plays everywhere."""

CONTROL = Coding("yuv420p", {"crf": "12", "preset": "medium"})
"""Depth, edges, blur: few artefacts where a model reads values; plays everywhere."""

EXACT = Coding("yuv444p10le", {"qp": "0", "preset": "medium"})
"""Every 8-bit RGB colour comes back exactly: lossless, no chroma subsampling.

Ten bits, because BT.709 in eight loses up to 2 steps of RGB even when coded without loss; in ten
all 16,777,216 colours survive the way there and back through swscale. Chromium plays it.
"""

_thread = threading.local()


def reformatted(frame: av.VideoFrame, **how: Any) -> av.VideoFrame:
    """`frame` in another size or pixel format, as PyAV's `VideoReformatter.reformat` takes `how`.

    With one thread: swscale's own threads (PyAV's default) write a few pixels past the end of
    their rows where the width is no multiple of 16, and spoil the neighbour's first ones.
    """
    # one reformatter a thread: it keeps its tables from frame to frame, and is not thread-safe
    if not hasattr(_thread, "reformatter"):
        _thread.reformatter = VideoReformatter()
    made: av.VideoFrame = _thread.reformatter.reformat(frame, threads=1, **how)
    return made


def coded(picture: Array | av.VideoFrame, coding: Coding) -> av.VideoFrame:
    """A picture in the coding's pixel format, BT.709 limited range. Safe to call in threads.

    Takes (height, width, 3) uint8 RGB, (height, width) uint8 grey, or a full-range RGB frame.
    """
    if not isinstance(picture, av.VideoFrame):
        if picture.ndim == 2:
            height, width = picture.shape
            if coding.pix_fmt == "yuv420p" and height % 2 == width % 2 == 0:
                return _grey_420(picture)
            picture = np.repeat(picture[..., None], 3, axis=2)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    frame = reformatted(
        picture,
        format=coding.pix_fmt,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )
    # a decoded PNG says that it is a key frame, and x264 would obey: three times the size
    frame.pict_type = PictureType.NONE
    return frame


_LUMA = np.rint(16 + np.arange(256) * 219 / 255).astype(np.uint8)


def _grey_420(picture: Array) -> av.VideoFrame:
    # by hand: swscale rounds grey down and gives it a tint (Cr 127)
    height, width = picture.shape
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = _LUMA[picture]
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.colorspace, frame.color_range = _BT709, _TV
    return frame


def encode(
    frames: Iterable[Array | av.VideoFrame],
    path: Path,
    *,
    fps: Fraction | int,
    coding: Coding = PICTURE,
    tags: Mapping[str, str] | None = None,
) -> Probe:
    """Write `frames` to the mp4 `path` and measure what was written.

    Frames as `Video.add` takes them; one at a time is held. `tags` are container metadata (title,
    comment). Index first (faststart).

    Raises:
        MediaError: no frames, frames of different or odd size, or the file measured wrongly.
        DiskFull: no room; nothing half-written is left.
    """
    with encoding(path, fps=fps, coding=coding, tags=tags) as video:
        for frame in frames:
            video.add(frame)
    return video.measured


@contextmanager
def encoding(
    path: Path,
    *,
    fps: Fraction | int,
    coding: Coding = PICTURE,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Video]:
    """As `encode`, of frames that the block adds; `measured` is known after it.

    Raises:
        MediaError, DiskFull: as `encode`; nothing half-written is left.
    """
    fps = Fraction(fps)
    with writing(path) as part:
        with ExitStack() as stack:
            video = Video(path, part, fps, coding, dict(tags or {}), stack)
            yield video
            video.end()
        found = probe(part)
        if (found.frames, found.written_fps) != (video.count, fps):
            raise MediaError(
                f"{path} came out with {found.frames} frames at {found.written_fps}, "
                f"not {video.count} at {fps}: it was not kept."
            )
    video.measured = replace(found, path=path)


class Video:
    """An mp4 that is being written, frame by frame. `count`: of its frames so far."""

    measured: Probe

    def __init__(
        self,
        path: Path,
        part: Path,
        fps: Fraction,
        coding: Coding,
        tags: dict[str, str],
        open_until: ExitStack,
    ) -> None:
        self.count = 0
        self._path, self._part, self._fps = path, part, fps
        self._coding, self._tags, self._open_until = coding, tags, open_until
        self._size = (0, 0)
        self._container: OutputContainer
        self._stream: VideoStream

    def add(self, frame: Array | av.VideoFrame) -> None:
        """One more frame: RGB (height, width, 3) or grey (height, width) uint8, or of `coded`.

        Raises:
            MediaError: its size is odd, or another than that of the first.
        """
        picture = _as_coded(frame, self._coding)
        if not self.count:
            self._begin((picture.width, picture.height))
        if (picture.width, picture.height) != self._size:
            raise MediaError(
                f"Frame {self.count + 1} is {picture.width}x{picture.height}, "
                f"the first is {self._size[0]}x{self._size[1]}."
            )
        picture.pts, picture.time_base = self.count, 1 / self._fps
        self._container.mux(self._stream.encode(picture))
        self.count += 1

    def _begin(self, size: tuple[int, int]) -> None:
        if self._coding.even and (size[0] % 2 or size[1] % 2):
            raise MediaError(
                f"{size[0]}x{size[1]} cannot be coded as {self._coding.pix_fmt}: size is odd."
            )
        options = {"movflags": "+faststart"}
        self._container = self._open_until.enter_context(
            av.open(str(self._part), "w", format="mp4", options=options)
        )
        self._container.metadata.update(self._tags)
        self._stream = _stream(self._container, size, self._fps, self._coding)
        self._size = size

    def end(self) -> None:
        """Write what the encoder still holds.

        Raises:
            MediaError: there was no frame.
        """
        if not self.count:
            raise MediaError(f"There are no frames to write to {self._path}.")
        self._container.mux(self._stream.encode(None))


def _as_coded(picture: Array | av.VideoFrame, coding: Coding) -> av.VideoFrame:
    if isinstance(picture, av.VideoFrame) and picture.format.name == coding.pix_fmt:
        return picture
    return coded(picture, coding)


def _stream(
    container: OutputContainer, size: tuple[int, int], fps: Fraction, coding: Coding
) -> VideoStream:
    options = {**coding.options, **_same_bytes_each_time()}
    stream = container.add_stream("libx264", rate=fps, options=options)
    stream.width, stream.height = size
    stream.pix_fmt = coding.pix_fmt
    context = stream.codec_context
    context.time_base = 1 / fps
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _TV
    context.thread_type = "FRAME"  # PyAV's default, slices, costs quality
    return stream


@functools.cache
def _same_bytes_each_time() -> dict[str, str]:
    """x264 165 (in PyAV's wheels) reads past its rows in AVX-512 code where width / 16 is no
    multiple of 8: one encoding in fifty then differs (848x480). With AVX2 none of hundreds did."""
    cpu = Path("/proc/cpuinfo")
    wide = cpu.exists() and "avx512vl" in cpu.read_text()
    return {"x264-params": "asm=avx2"} if wide else {}
