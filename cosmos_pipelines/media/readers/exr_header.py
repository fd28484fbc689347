"""The header of an EXR file, as far as it says whether we can read the file whole.

The layout is that of https://openexr.com/en/latest/OpenEXRFileLayout.html. Sizes and offsets are
untrusted: nothing is read or kept that the file itself is too small for.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from cosmos_pipelines.errors import MediaError

MAGIC: Final = b"\x76\x2f\x31\x01"
_VERSION: Final = 2
_TILED, _LONG_NAMES, _DEEP, _PARTS = 0x200, 0x400, 0x800, 0x1000
_KNOWN: Final = 0xFF | _TILED | _LONG_NAMES | _DEEP | _PARTS
_LINES: Final = {
    0: 1,
    1: 1,
    2: 1,
    3: 16,
    4: 32,
    5: 16,
    6: 32,
    7: 32,
    8: 32,
    9: 256,
    10: 256,
    11: 32,
}
"""Lines of a chunk by the number of the compression; the last two are HTJ2K, of OpenEXR 3.4."""
_LONGEST_NAME: Final = 255
_LONGEST_HEADER: Final = 64 << 20
"""A Cryptomatte manifest of many thousand names takes some megabytes."""
AGAIN: Final = "Render or copy this frame again."

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Part:
    attributes: Mapping[str, tuple[str, bytes]]

    def box(self, name: str) -> Box:
        return struct.unpack("<4i", self.attributes[name][1])

    def text(self, name: str) -> str:
        return self.attributes.get(name, ("", b""))[1].decode("utf-8", "replace")


def check_exr(path: Path, file: BinaryIO) -> None:
    """Refuse what cannot be read, or is not whole, before a pixel of it is read.

    Raises:
        MediaError: of a newer version, deep, of subsampled channels, of parts that show pictures of
            several sizes, or cut off: a chunk is missing or lies beyond the end of the file.
    """
    try:
        parts = _parts(path, file)
        for part in parts:
            _check_channels(path, part)
            if (number := part.attributes["compression"][1][0]) >= len(_LINES):
                raise MediaError(
                    f"{path} is compressed in a way that is not known yet (number {number}).",
                    hint="Write it with ZIP.",
                )
        shown = {part.box("displayWindow") for part in parts}
        if len(shown) > 1:
            sizes = " and ".join(sorted(f"{c - a + 1}x{d - b + 1}" for a, b, c, d in shown))
            raise MediaError(
                f"The parts of {path} show pictures of several sizes ({sizes}).",
                hint="Render all layers of a file in one size.",
            )
        _check_chunks(path, file, parts)
    except MediaError:  # which is a ValueError
        raise
    except (KeyError, IndexError, struct.error, ValueError, OverflowError):
        raise MediaError(f"{path} is damaged: its header is no EXR header.", hint=AGAIN) from None


def truncated(path: Path) -> MediaError:
    """A file that ends too early."""
    return MediaError(f"{path} is truncated.", hint=AGAIN)


def _parts(path: Path, file: BinaryIO) -> list[_Part]:
    start = file.read(8)
    if len(start) < 8:
        raise truncated(path)
    flags = struct.unpack("<I", start[4:])[0]
    if flags & 0xFF != _VERSION or flags & ~_KNOWN:
        raise MediaError(
            f"{path} is of a newer kind of EXR (version {flags & 0xFF}, flags {flags >> 8:#x}).",
            hint="Write EXR of version 2, as OpenEXR 2 and 3 do.",
        )
    parts = []
    while attributes := dict(_attributes(path, file)):
        parts.append(_Part(attributes))
        if flags & _DEEP or parts[-1].text("type").startswith("deep"):
            raise MediaError(f"{path} is a deep picture.", hint="Flatten it when rendering.")
        if not flags & _PARTS:
            break
    if not parts:
        raise ValueError("no part")
    return parts


def _attributes(path: Path, file: BinaryIO) -> Iterator[tuple[str, tuple[str, bytes]]]:
    while name := _name(path, file):
        kind = _name(path, file)
        size = struct.unpack("<i", _exactly(path, file, 4))[0]
        if size < 0 or file.tell() + size > _LONGEST_HEADER:
            raise ValueError("size")
        yield name, (kind, _exactly(path, file, size))


def _name(path: Path, file: BinaryIO) -> str:
    at = file.tell()
    data = file.read(_LONGEST_NAME + 1)
    name, end, _ = data.partition(b"\0")
    if not end:
        if len(data) <= _LONGEST_NAME:
            raise truncated(path)
        raise ValueError("name")
    file.seek(at + len(name) + 1)
    return name.decode("utf-8", "replace")


def _exactly(path: Path, file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise truncated(path)
    return data


def _check_channels(path: Path, part: _Part) -> None:
    data = part.attributes["channels"][1]
    while data and data != b"\0":
        name, _, rest = data.partition(b"\0")
        _, _, across, down = struct.unpack("<iiii", rest[:16])
        if (across, down) != (1, 1):
            raise MediaError(
                f"{path} stores its channel {name.decode('utf-8', 'replace')} at a lower "
                "resolution (luminance and chroma).",
                hint="Write RGB.",
            )
        data = rest[16:]


def _check_chunks(path: Path, file: BinaryIO, parts: list[_Part]) -> None:
    """Each part has a table of where its chunks begin; the last of them must end in the file."""
    size = os.fstat(file.fileno()).st_size
    several = len(parts) > 1
    for part in parts:
        count = _chunks(part)
        if count < 1 or file.tell() + 8 * count > size:
            raise truncated(path)
        table = np.frombuffer(_exactly(path, file, 8 * count), "<u8")
        if not table.all():
            missing = int((table == 0).sum())
            raise MediaError(
                f"{path} is not finished: {missing} of {count} blocks of pixels are missing.",
                hint=AGAIN,
            )
        last, here = int(table.max()), file.tell()
        head = 4 * (several + (4 if _tiled(part) else 1)) + 4
        if last + head > size:
            raise truncated(path)
        file.seek(last + head - 4)
        length = struct.unpack("<i", _exactly(path, file, 4))[0]
        if length < 0 or last + head + length > size:
            raise truncated(path)
        file.seek(here)


def _tiled(part: _Part) -> bool:
    return "tiles" in part.attributes


def _chunks(part: _Part) -> int:
    x0, y0, x1, y1 = part.box("dataWindow")
    width, height = x1 - x0 + 1, y1 - y0 + 1
    if min(width, height) < 1:
        raise ValueError("dataWindow")
    if not _tiled(part):
        return math.ceil(height / _LINES[part.attributes["compression"][1][0]])
    across, down, mode = map(int, struct.unpack("<IIB", part.attributes["tiles"][1]))
    level, up = mode & 15, mode >> 4
    if level == 2:  # each level of one axis with each of the other
        return sum(math.ceil(w / across) for w in _levels(width, up)) * sum(
            math.ceil(h / down) for h in _levels(height, up)
        )
    sizes = [(width, height)]
    if level == 1:
        count = len(_levels(max(width, height), up))
        sizes = [(_level(width, i, up), _level(height, i, up)) for i in range(count)]
    return sum(math.ceil(w / across) * math.ceil(h / down) for w, h in sizes)


def _levels(size: int, up: int) -> list[int]:
    count = ((size - 1).bit_length() if up else size.bit_length() - 1) + 1
    return [_level(size, i, up) for i in range(count)]


def _level(size: int, level: int, up: int) -> int:
    return max(1, (size + (1 << level) - 1) >> level if up else size >> level)
