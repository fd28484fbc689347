"""Measure a video file: size, frames, rate, codec, colour tags; say what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.containers import AGAIN, check_whole, opened, video_of
from cosmos_pipelines.media.files import saying_why_not_read
from cosmos_pipelines.media.rates import snapped
from cosmos_pipelines.media.shown import Shown, shown_of

__all__ = ["Probe", "Stamp", "probe", "stamp_of"]

_PRIMARIES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020"}
_TRANSFER = {
    1: "bt709",
    6: "smpte170m",
    8: "linear",
    13: "iec61966-2-1",
    16: "smpte2084",
    18: "arib-std-b67",
}
_MATRIX = {0: "gbr", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc"}
_RANGE = {1: "tv", 2: "pc"}
"""Names as ffprobe prints them, by the numbers of ITU-T H.273; what is not listed is None."""


class Stamp(NamedTuple):
    """What a file is known again by without reading it: another content has another stamp.

    A file that is written again in the same tick of its disk's clock (milliseconds on Linux's own
    file systems), with as many bytes, is the exception; what relies on a stamp compares the hash
    later.
    """

    size: int
    mtime_ns: int
    inode: int


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file as it is now.

    Raises:
        MediaError: it is missing or may not be looked at.
    """
    with saying_why_not_read(path):
        stat = path.stat()
    return Stamp(stat.st_size, stat.st_mtime_ns, stat.st_ino)


@dataclass(frozen=True)
class Probe:
    """A video file as measured: `width` and `height` as it is shown, `size` in bytes.

    `fps` is exact, an NTSC rate in whatever way the file spells it; colour tags None where absent.
    """

    path: Path
    size: int
    mtime_ns: int
    inode: int
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
    """Whether the rate is constant: as the header tells, with `deep` as all frames' times do."""
    shown: Shown
    written_fps: Fraction
    """The rate as the file writes it: 2997/100 where `fps` is 30000/1001."""
    intervals_s: tuple[float, float] | None = None
    """The shortest and the longest time from a frame to the next; with `deep`, if not steady."""

    @property
    def stamp(self) -> Stamp:
        """By which the file is known again."""
        return Stamp(self.size, self.mtime_ns, self.inode)

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


@dataclass(frozen=True)
class _Packets:
    """All packets of a stream: one is one frame. Times in seconds, sorted."""

    count: int
    hidden: int
    """Frames that an edit list hides: decoders need them, players do not show them."""
    times: tuple[Fraction, ...]


def probe(path: Path, *, deep: bool = False) -> Probe:
    """Measure the first video stream of `path`, from its header and first picture (about 10 ms).

    `deep` also walks through every packet, compares their number with the header, and decodes the
    last frames.

    Raises:
        MediaError: missing, not readable, not a video, truncated, or without a video stream.
    """
    check_whole(path)
    stamp = stamp_of(path)
    with opened(path) as container:
        stream = video_of(path, container)
        packets = None
        if deep or not stream.frames or _seems_trimmed(stream):
            packets = _walk(path, container, stream)
            _check_all_there(path, container, stream, packets)
        first = _first_picture(path, container, stream)
        found = _measure(path, stream, first, packets, stamp)
        if deep:
            _check_end(path, container, stream)
    return found


def _measure(
    path: Path,
    stream: VideoStream,
    first: av.VideoFrame,
    packets: _Packets | None,
    stamp: Stamp,
) -> Probe:
    context = stream.codec_context
    written = stream.average_rate or stream.base_rate
    frames = packets.count - packets.hidden if packets else stream.frames
    if not (written and frames and context.width and context.height and context.pix_fmt):
        raise MediaError(f"{path} is not a usable video: size, rate or frames are missing.")
    fps = snapped(Fraction(written))
    shown = replace(shown_of(path, stream, first), hidden=packets.hidden if packets else 0)
    width, height = shown.size(context.width, context.height)
    intervals = _intervals(packets.times, fps) if packets else None
    return Probe(
        path=path,
        size=stamp.size,
        mtime_ns=stamp.mtime_ns,
        inode=stamp.inode,
        width=width,
        height=height,
        frames=frames,
        fps=fps,
        duration_s=frames / float(fps),
        codec=context.name,
        profile=context.profile,
        pix_fmt=context.pix_fmt,
        color_space=_MATRIX.get(int(context.colorspace)),
        color_primaries=_PRIMARIES.get(int(context.color_primaries)),
        color_transfer=_TRANSFER.get(int(context.color_trc)),
        color_range=_RANGE.get(int(context.color_range)),
        time_base=Fraction(stream.time_base or 0),
        steady=intervals is None if packets else _steady_header(stream),
        shown=shown,
        written_fps=Fraction(written),
        intervals_s=intervals,
    )


def _seems_trimmed(stream: VideoStream) -> bool:
    """Whether an mp4's edit list may hide frames: they would last longer than the video does."""
    if not (stream.duration and stream.time_base and stream.average_rate):
        return False
    lasts = stream.duration * stream.time_base * stream.average_rate
    return stream.frames > lasts + Fraction(3, 2)


def _steady_header(stream: VideoStream) -> bool:
    base, average = stream.base_rate, stream.average_rate
    return base is None or average is None or abs(base / average - 1) < 0.001


def _intervals(times: tuple[Fraction, ...], fps: Fraction) -> tuple[float, float] | None:
    """Shortest and longest time between frames; None if all come when they should.

    A tenth of a frame is allowed for: Matroska and WebM count in milliseconds.
    """
    if len(times) < 2 or all(
        abs((time - times[0]) * fps - n) <= Fraction(1, 10) for n, time in enumerate(times)
    ):
        return None
    steps = [float(b - a) for a, b in pairwise(times)]
    return min(steps), max(steps)


def _walk(path: Path, container: InputContainer, stream: VideoStream) -> _Packets:
    """Go through all packets and back to the start."""
    count, hidden, times = 0, 0, []
    base = Fraction(stream.time_base or 0)
    try:
        for packet in container.demux(stream):
            if packet.size:
                count += 1
                hidden += packet.is_discard
                if packet.pts is not None and not packet.is_discard:
                    times.append(packet.pts * base)
        container.seek(0)
    except av.error.FFmpegError as e:
        raise MediaError(f"{path} is damaged after {count} frames: {e.strerror}.") from None
    return _Packets(count, hidden, tuple(sorted(times)))


def _check_all_there(
    path: Path, container: InputContainer, stream: VideoStream, packets: _Packets
) -> None:
    """Compare what is there with what the file says of itself."""
    declared = stream.frames or _declared_frames(container, stream)
    much_less = packets.count < declared - (0 if stream.frames else 1)
    if much_less or (stream.frames and packets.count > declared):
        raise MediaError(
            f"{path} is truncated: {packets.count} of {declared} frames are there.", hint=AGAIN
        )


def _declared_frames(container: InputContainer, stream: VideoStream) -> int:
    """Frames by the duration in a Matroska header; 0 where it says nothing of this stream."""
    if not stream.average_rate or not _steady_header(stream):
        return 0
    seconds = _seconds(stream.metadata.get("DURATION", ""))
    if seconds is None and len(container.streams) == 1 and container.duration:
        seconds = Fraction(container.duration, av.time_base)
    return round(seconds * snapped(stream.average_rate)) if seconds else 0


def _seconds(clock: str) -> Fraction | None:
    """`00:00:02.003000000`, as FFmpeg and mkvmerge write the duration of a track."""
    hours, _, rest = clock.partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None


def _first_picture(path: Path, container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    try:
        first = next(container.decode(stream), None)
    except av.error.FFmpegError as e:
        raise MediaError(f"{path} cannot be decoded: {e.strerror}.") from None
    if first is None:
        raise MediaError(f"{path} cannot be decoded: no picture comes out.")
    return first


def _check_end(path: Path, container: InputContainer, stream: VideoStream) -> None:
    """Decode the last frames."""
    last = None
    try:
        container.seek(max(0, (stream.duration or 1) - 1), stream=stream)
        for last in container.decode(stream):  # noqa: B007
            pass
    except av.error.FFmpegError as e:
        raise MediaError(f"{path} cannot be decoded: {e.strerror}.") from None
    if last is None:
        raise MediaError(f"{path} cannot be decoded: no picture comes out.")
