"""Measure a video file: size, frames, rate, codec, colour tags; say what is wrong with it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import check_regular, saying_why_not_read

_PRIMARIES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020"}
_TRANSFER = {1: "bt709", 6: "smpte170m", 8: "linear", 13: "iec61966-2-1", 16: "smpte2084"}
_MATRIX = {0: "gbr", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc"}
_RANGE = {1: "tv", 2: "pc"}
"""Names as ffprobe prints them, by the numbers of ITU-T H.273; what is not listed is None."""


@dataclass(frozen=True)
class Probe:
    """A video file as measured. `fps` is exact; `size` in bytes; colour tags None where absent."""

    path: Path
    size: int
    mtime_ns: int
    width: int
    height: int
    frames: int
    fps: Fraction
    duration_s: float
    codec: str
    profile: str | None
    pix_fmt: str
    color_space: str | None
    color_primaries: str | None
    color_transfer: str | None
    color_range: str | None
    time_base: Fraction
    steady: bool
    """Whether the rate is constant, as far as the container's header tells."""

    def facts(self) -> dict[str, Any]:
        """The measured facts as plain JSON values, without the path."""
        return {
            "size": self.size,
            "width": self.width,
            "height": self.height,
            "frames": self.frames,
            "fps": str(self.fps),
            "duration_s": round(self.duration_s, 6),
            "codec": self.codec,
            "profile": self.profile,
            "pix_fmt": self.pix_fmt,
            "color_space": self.color_space,
            "color_primaries": self.color_primaries,
            "color_transfer": self.color_transfer,
            "color_range": self.color_range,
        }


def probe(path: Path, *, deep: bool = False) -> Probe:
    """Measure the first video stream of `path`, from its headers alone (about 10 ms).

    `deep` also walks through every packet, compares their number with the header, and decodes the
    first and the last frames.

    Raises:
        MediaError: missing, not readable, not a video, truncated, or without a video stream.
    """
    check_regular(path)
    with saying_why_not_read(path):
        stat = path.stat()
        with path.open("rb") as f:
            _check_boxes(path, f, stat.st_size)
    with _open(path) as container:
        found = _measure(path, container, stat.st_size, stat.st_mtime_ns)
        if deep:
            _check_packets(path, container, found)
    return found


def _open(path: Path) -> InputContainer:
    try:
        return av.open(str(path))
    except av.error.FFmpegError as e:
        raise MediaError(f"{path} is not a video: {e.strerror}.") from None


def _check_boxes(path: Path, file: BinaryIO, size: int) -> None:
    """Walk the top-level boxes of an ISO media file (ISO/IEC 14496-12, 4.2); others pass."""
    if size == 0:
        raise MediaError(f"{path} is empty.", hint="Render or copy it again.")
    if size < 8:
        return
    at, seen = 0, set()
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if at == 0 and kind not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        elif length == 0:
            length = size - at
        seen.add(kind)
        at += max(length, 8)
    if b"moov" not in seen:
        raise MediaError(
            f"{path} is truncated: it has no index (moov), so its writing never ended.",
            hint="Render or copy it again.",
        )
    if at > size:
        raise MediaError(
            f"{path} is truncated: {at - size} bytes of {at} are missing.",
            hint="Render or copy it again.",
        )


def _measure(path: Path, container: InputContainer, size: int, mtime_ns: int) -> Probe:
    if not container.streams.video:
        raise MediaError(f"{path} has no video stream.")
    stream = container.streams.video[0]
    context = stream.codec_context
    fps = stream.average_rate or stream.base_rate
    frames = stream.frames or _count_packets(path, container, stream)
    if not (fps and frames and context.width and context.height and context.pix_fmt):
        raise MediaError(f"{path} is not a usable video: size, rate or frames are missing.")
    return Probe(
        path=path,
        size=size,
        mtime_ns=mtime_ns,
        width=context.width,
        height=context.height,
        frames=frames,
        fps=Fraction(fps),
        duration_s=frames / float(fps),
        codec=context.name,
        profile=context.profile,
        pix_fmt=context.pix_fmt,
        color_space=_MATRIX.get(int(context.colorspace)),
        color_primaries=_PRIMARIES.get(int(context.color_primaries)),
        color_transfer=_TRANSFER.get(int(context.color_trc)),
        color_range=_RANGE.get(int(context.color_range)),
        time_base=Fraction(stream.time_base or 0),
        steady=stream.base_rate is None or abs(stream.base_rate / fps - 1) < 0.001,
    )


def _count_packets(path: Path, container: InputContainer, stream: VideoStream) -> int:
    """Frames of a container whose header does not say (Matroska, AVI): one packet is one frame."""
    count = 0
    try:
        for packet in container.demux(stream):
            count += packet.size > 0
        container.seek(0)
    except av.error.FFmpegError as e:
        raise MediaError(f"{path} is damaged after {count} frames: {e.strerror}.") from None
    return count


def _check_packets(path: Path, container: InputContainer, found: Probe) -> None:
    stream = container.streams.video[0]
    count = _count_packets(path, container, stream)
    if count != found.frames:
        raise MediaError(f"{path} is truncated: {count} of {found.frames} frames are there.")
    try:
        first = next(container.decode(stream), None)
        last = None
        container.seek(max(0, (stream.duration or 1) - 1), stream=stream)
        for last in container.decode(stream):  # noqa: B007
            pass
    except av.error.FFmpegError as e:
        raise MediaError(f"{path} cannot be decoded: {e.strerror}.") from None
    if first is None or last is None:
        raise MediaError(f"{path} cannot be decoded: no picture comes out.")
