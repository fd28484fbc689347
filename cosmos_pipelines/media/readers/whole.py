"""Whether a picture file is what its name says, and there to its end; no pixel is read."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import check_regular, saying_why_not_read
from cosmos_pipelines.media.readers.exr_header import AGAIN, MAGIC, check_exr, truncated
from cosmos_pipelines.media.readers.tiff_header import check_tiff

_SCAN: Final = 0xFFDA
"""JPEG's mark before its pixels."""

_SIGNATURES: Final[tuple[tuple[bytes, str], ...]] = (
    (MAGIC, "EXR"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"RIFF", "WebP"),
    (b"SDPX", "DPX"),
    (b"XPDS", "DPX"),
    (b"#?", "HDR"),
    (b"\x93NUMPY", "npy"),
)
_ENDINGS: Final = {
    ".exr": "EXR",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WebP",
    ".dpx": "DPX",
    ".hdr": "HDR",
    ".npy": "npy",
}


def check_whole(path: Path) -> None:
    """Look at the beginning and the end of a file.

    Of HDR and TGA nothing tells where the end is.

    Raises:
        MediaError: missing, not readable, empty, another kind of picture than its name says, or
            cut off; of EXR also what `check_exr` refuses.
    """
    check_regular(path)
    with saying_why_not_read(path), path.open("rb") as file:
        start = file.read(12)
        if not start:
            raise MediaError(f"{path} is empty.", hint="Render this frame again.")
        wanted = _ENDINGS.get(path.suffix.lower())
        _check_kind(path, start, wanted)
        file.seek(0)
        if check := _CHECKS.get(wanted or ""):
            check(path, file)


def _check_kind(path: Path, start: bytes, wanted: str | None) -> None:
    kind = next((kind for begin, kind in _SIGNATURES if start.startswith(begin)), None)
    if wanted is None:  # TGA has no mark
        if kind in ("PNG", "JPEG", "EXR"):
            raise MediaError(f"{path} is {_a(kind)} picture by its content.", hint="Rename it.")
    elif kind is None:
        raise MediaError(f"{path} is not {_a(wanted)} picture.", hint=AGAIN)
    elif kind != wanted:
        raise MediaError(f"{path} is {_a(kind)} picture, not {_a(wanted)} one.", hint="Rename it.")


def _a(kind: str) -> str:
    return f"an {kind}" if kind in ("EXR", "HDR", "npy") else f"a {kind}"


def _check_jpeg(path: Path, file: BinaryIO) -> None:
    """The mark of its end stands behind the pixels; a small picture before them has one too."""
    size, at = os.fstat(file.fileno()).st_size, 2
    while True:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4:
            raise truncated(path)
        mark, length = struct.unpack(">HH", head)
        at += 2 + length
        if mark == _SCAN:
            break
    file.seek(max(at, size - (64 << 10)))
    if b"\xff\xd9" not in file.read():  # a few bytes may stand behind it
        raise truncated(path)


def _check_webp(path: Path, file: BinaryIO) -> None:
    start = file.read(12)
    if len(start) < 12 or 8 + struct.unpack("<I", start[4:8])[0] > os.fstat(file.fileno()).st_size:
        raise truncated(path)


def _check_dpx(path: Path, file: BinaryIO) -> None:
    """The header says where the picture begins and how large the whole file is (SMPTE 268M)."""
    start = file.read(20)
    if len(start) < 20:
        raise truncated(path)
    order = ">" if start[:4] == b"SDPX" else "<"
    data, whole = (struct.unpack(order + "I", start[at : at + 4])[0] for at in (4, 16))
    size = os.fstat(file.fileno()).st_size
    if data >= size or (whole != 0xFFFFFFFF and whole > size):
        raise truncated(path)


_CHECKS: Final[Mapping[str, Callable[[Path, BinaryIO], None]]] = {
    "EXR": check_exr,
    "JPEG": _check_jpeg,
    "TIFF": check_tiff,
    "WebP": _check_webp,
    "DPX": _check_dpx,
}
