"""The header of a PNG file: its size and kind, whether it is whole, how it is to be shown."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import check_regular, saying_why_not_read

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""Colour types."""

_READ: Final = frozenset({b"tRNS", b"pHYs", b"eXIf", b"cICP"})
_MOST: Final = 1 << 16
"""Bytes of a chunk that are looked at; an orientation stands at the beginning."""


@dataclass(frozen=True)
class Header:
    """What stands before the pixels of a PNG. `bits` a channel: 1, 2, 4, 8 or 16.

    `transparent`: one colour is (tRNS). `refused`: it is to be shown in a way that we cannot do.
    """

    width: int
    height: int
    bits: int
    colour: int
    transparent: bool = False
    refused: str | None = None

    @property
    def grey(self) -> bool:
        """Whether there is one channel (and perhaps alpha)."""
        return self.colour in (GREY, GREY_ALPHA)

    @property
    def alpha(self) -> bool:
        """Whether pixels may be transparent."""
        return self.transparent or self.colour in (GREY_ALPHA, RGBA)

    @property
    def kind(self) -> str:
        """`8-bit RGB`, `16-bit grey`, ... for messages and records."""
        names = {GREY: "grey", RGB: "RGB", PALETTE: "palette"}
        return f"{self.bits}-bit " + (
            names.get(self.colour) or ("grey+alpha" if self.grey else "RGBA")
        )


def read_header(path: Path) -> Header:
    """Read size and kind of a PNG, and check that its end is there. Bytes behind it are no fault.

    Raises:
        MediaError: missing, not readable, no PNG, or cut off.
    """
    check_regular(path)
    with saying_why_not_read(path), path.open("rb") as file:
        start = file.read(26)
        if len(start) == 0:
            raise MediaError(f"{path} is empty.", hint="Render this frame again.")
        if start[:8] != _SIGNATURE or start[12:16] != b"IHDR":
            raise MediaError(f"{path} is not a PNG picture.")
        if len(start) < 26:
            raise _truncated(path)
        size = os.fstat(file.fileno()).st_size
        chunks = _chunks(path, file, 33, size)
        file.seek(max(33, size - 64))
        if b"IEND" not in file.read():  # usual, and quick; else there are bytes behind the end
            _chunks(path, file, 33, size, until=b"IEND")
    width, height, bits, colour = struct.unpack(">IIBB", start[16:26])
    return Header(width, height, bits, colour, b"tRNS" in chunks, _refused(chunks))


def _truncated(path: Path) -> MediaError:
    return MediaError(f"{path} is truncated.", hint="Render or copy this frame again.")


def _chunks(
    path: Path, file: BinaryIO, at: int, size: int, until: bytes = b"IDAT"
) -> dict[bytes, bytes]:
    """The chunks that matter to us, from `at` to the first one of the kind `until`."""
    found: dict[bytes, bytes] = {}
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            raise _truncated(path)
        length, kind = struct.unpack(">I4s", head)
        if kind in _READ:
            found[kind] = file.read(min(length, _MOST))
        at += 12 + length
        if at > size:
            raise _truncated(path)
        if kind in (until, b"IEND"):
            return found


def _refused(chunks: dict[bytes, bytes]) -> str | None:
    light = chunks.get(b"cICP", b"")[1:2]
    if light in (b"\x10", b"\x12"):
        return f"is coded for HDR ({'PQ' if light == bytes([16]) else 'HLG'})"
    across, down = struct.unpack(">II", chunks.get(b"pHYs", b"").ljust(8, b"\0")[:8])
    if across and down and abs(across / down - 1) > 0.005:
        return f"has pixels that are not square ({down}:{across})"
    orientation = _orientation(chunks.get(b"eXIf", b""))
    if 2 <= orientation <= 8:
        return f"is to be shown turned or mirrored (EXIF orientation {orientation})"
    return None


def _orientation(exif: bytes) -> int:
    """The tag Orientation (0x0112) of TIFF data; 0 if it says nothing."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 10:
        return 0
    at = struct.unpack(order + "I", exif[4:8])[0]
    entries = exif[at + 2 :]
    for i in range(0, len(entries) - 11, 12):
        tag, kind, _, value = struct.unpack(order + "HHIH", entries[i : i + 10])
        if tag == 0x0112 and kind == 3:
            return int(value)
    return 0
