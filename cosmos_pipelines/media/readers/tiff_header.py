"""The directory of a TIFF file: whether all its strips or tiles are there. Classic and BigTIFF.

The layout is that of TIFF 6.0; sizes and offsets are untrusted.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.readers.exr_header import AGAIN, truncated

_NUMBERS: Final = {3: "u2", 4: "u4", 16: "u8"}
"""Kinds of whole numbers in which offsets and counts are written."""
_OFFSETS: Final = ((273, 279), (324, 325))
"""Where strips, or tiles, begin, and how many bytes each has."""


def check_tiff(path: Path, file: BinaryIO) -> None:
    """Look at the first picture's directory.

    Raises:
        MediaError: the directory, a strip or a tile lies beyond the end of the file.
    """
    try:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = start[2:4] in (b"+\0", b"\0+")
        at = struct.unpack(order + ("Q" if big else "I"), start[8:16] if big else start[4:8])[0]
        size = os.fstat(file.fileno()).st_size
        file.seek(min(at, size))
        count = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))[0]
        entry = 20 if big else 12
        if count * entry > size:
            raise truncated(path)
        data = file.read(count * entry)
        if len(data) < count * entry:
            raise truncated(path)
        entries = {
            struct.unpack(order + "H", data[i : i + 2])[0]: data[i : i + entry]
            for i in range(0, len(data), entry)
        }
        for where, how_many in _OFFSETS:
            if where in entries and how_many in entries:
                begins = _values(file, entries[where], order, size)
                lengths = _values(file, entries[how_many], order, size)
                if (begins + lengths > size).any():
                    raise truncated(path)
    except struct.error:
        raise truncated(path) from None
    except MediaError:  # which is a ValueError
        raise
    except (KeyError, ValueError):
        raise MediaError(f"{path} is damaged: its header is no TIFF header.", hint=AGAIN) from None


def _values(file: BinaryIO, entry: bytes, order: str, size: int) -> np.ndarray:
    """The numbers of an entry: in itself where they fit, else where it says."""
    big = len(entry) == 20
    kind, count = struct.unpack(order + ("HQ" if big else "HI"), entry[2 : 12 if big else 8])
    number = np.dtype(order + _NUMBERS[kind])
    inside, needed = entry[12:] if big else entry[8:], number.itemsize * count
    if needed > len(inside):
        at = struct.unpack(order + ("Q" if big else "I"), inside)[0]
        if at + needed > size:
            raise struct.error
        file.seek(at)
        inside = file.read(needed)
    return np.frombuffer(inside[:needed], number).astype(np.uint64)
