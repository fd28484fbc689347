"""Open video files, and tell from their structure alone whether they are whole."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import saying_why_not_read

_BOXES: Final = frozenset(
    b"ftyp styp moov moof mdat mfra free skip wide uuid meta pdin sidx ssix prft emsg udta".split()
)
"""Top-level boxes of ISO media files (ISO/IEC 14496-12) and QuickTime. Other bytes are no box."""

_EBML: Final = b"\x1aE\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"
ANY_TAGS: Final[dict[str, Any]] = (
    {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
)
"""For `av.open`: tags that are no UTF-8 are kept as they are, as PyAV does from 19 on."""

AGAIN: Final = "Render or copy it again."


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The container of `path` for reading.

    Raises:
        MediaError: it is no video.
    """
    try:
        container = av.open(str(path), **ANY_TAGS)
    except av.error.FFmpegError as e:
        raise MediaError(f"{path} is not a video: {e.strerror}.") from None
    except UnicodeError:
        raise MediaError(f"The name of {str(path)!a} is not UTF-8.", hint="Rename it.") from None
    with container:
        yield container


def video_of(path: Path, container: InputContainer) -> VideoStream:
    """The stream that players show: the first one that is no cover picture.

    Raises:
        MediaError: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise MediaError(f"{path} has no video stream.")


def check_whole(path: Path) -> None:
    """Look whether all bytes are there that an mp4, mov, Matroska, WebM or AVI file announces.

    Bytes behind the end of a whole file are no fault. Other kinds of file pass.

    Raises:
        MediaError: missing, not readable, no file, empty, or truncated.
    """
    with saying_why_not_read(path):
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise MediaError(f"{path} is no regular file.")
        with path.open("rb") as file:
            _check(path, file, found.st_size)


def _check(path: Path, file: BinaryIO, size: int) -> None:
    if size == 0:
        raise MediaError(f"{path} is empty.", hint=AGAIN)
    head = file.read(12)
    if head[4:8] in _BOXES:
        end = _end_of_boxes(path, file, size)
    elif head[:4] == _EBML:
        end = _end_of_matroska(file, size)
    elif head[:4] == b"RIFF" and head[8:] == b"AVI ":
        end = _end_of_riff(file, size)
    else:
        return
    if end > size:
        raise MediaError(
            f"{path} is truncated: {end - size} bytes of {end} are missing.", hint=AGAIN
        )


def _end_of_boxes(path: Path, file: BinaryIO, size: int) -> int:
    """Where the last top-level box ends."""
    at, seen = 0, set[bytes]()
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        elif length == 0 and kind == b"mdat":  # up to the end of the file
            length = size - at
        known = kind in _BOXES and length >= 8
        if not known and (at + max(length, 8) > size or {b"moov", b"mdat"} <= seen):
            break  # not ours: bytes behind the end
        seen.add(kind)
        at += max(length, 8)
    if b"moov" not in seen:
        raise MediaError(
            f"{path} is truncated: it has no index (moov), so its writing never ended.",
            hint=AGAIN,
        )
    return at


def _end_of_riff(file: BinaryIO, size: int) -> int:
    """Where the last RIFF chunk ends: large AVI files have several (OpenDML)."""
    at = end = 0
    while at + 12 <= size:
        file.seek(at)
        name, length, _ = struct.unpack("<4sI4s", file.read(12))
        if (
            name != b"RIFF" or length == 0
        ):  # 0: its writing never ended; FFmpeg reads it all the same
            break
        end = at + 8 + length
        at = end + length % 2
    return end


def _end_of_matroska(file: BinaryIO, size: int) -> int:
    """Where the segment ends (RFC 9559). One of unknown size, as live writers make them, ends
    with its last element."""
    at = 0
    while at < size:
        file.seek(at)
        kind, length, used = _element(file.read(12))
        if not kind:
            break
        if length is None:  # of unknown size: its elements follow
            at += used
            continue
        at += used + length
        if kind == _SEGMENT:
            break
    return at


def _element(head: bytes) -> tuple[bytes, int | None, int]:
    """(id, size or None if unknown, bytes used) of an EBML element (RFC 8794); id b'' if none."""
    width = 9 - head[0].bit_length() if head else 9
    if width > 4 or len(head) <= width:
        return b"", None, 0
    long = 9 - head[width].bit_length()
    value = head[width : width + long]
    if long > 8 or len(value) < long:
        return b"", None, 0
    number = int.from_bytes(value, "big") - (1 << 7 * long)
    unknown = number == (1 << 7 * long) - 1
    return head[:width], None if unknown else number, width + long
