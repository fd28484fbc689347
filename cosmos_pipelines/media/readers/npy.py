"""Arrays that numpy wrote, one a file: no code in them is ever run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy_format

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import saying_why_not_read
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.exr_header import AGAIN, truncated
from cosmos_pipelines.media.readers.layers import Layer, PictureFacts
from cosmos_pipelines.media.readers.limits import check_size
from cosmos_pipelines.media.readers.whole import check_whole

_CHANNELS: Final = {1: ("V",), 2: ("V", "A"), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}
_READERS: Final = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
    (3, 0): npy_format.read_array_header_2_0,  # as 2.0, in UTF-8
}

_NO_HEADER: Final = (
    *(ValueError, TypeError, KeyError, EOFError),
    *(SyntaxError, TokenError, MemoryError, RecursionError),
)
"""What numpy's parsers raise for a text that is none of their own."""


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    """As written: (height, width), (height, width, channels) or (1, height, width)."""
    size: tuple[int, int, int]
    """Height, width and channels."""
    by_columns: bool
    kind: np.dtype[Any]


def npy_facts(path: Path) -> PictureFacts:
    """The shape and kind of an array of one picture.

    That is (height, width), (height, width, 1 to 4) or (1, height, width).

    Raises:
        MediaError: no array, of another shape, cut off, or one of Python objects (refused: loading
            it would run code).
    """
    check_whole(path)
    with saying_why_not_read(path), path.open("rb") as file:
        header = _header(path, file)
    height, width, count = header.size
    kind = "uint8" if header.kind == np.bool_ else header.kind.newbyteorder("=").name
    return PictureFacts(path, "npy", width, height, (Layer("", _CHANNELS[count], kind),))


def npy_values(path: Path) -> Array:
    """The array as (height, width, channels) in this machine's byte order; of bool 0 and 1.

    Raises:
        MediaError: as `npy_facts`.
    """
    with saying_why_not_read(path), path.open("rb") as file:
        header = _header(path, file)
        count = int(np.prod(header.shape))
        flat = np.fromfile(file, header.kind, count)
    if flat.size < count:
        raise truncated(path)
    array = flat.reshape(header.shape, order="F" if header.by_columns else "C")
    native = np.uint8 if header.kind == np.bool_ else header.kind.newbyteorder("=")
    return np.ascontiguousarray(array.reshape(header.size), native)


def _header(path: Path, file: BinaryIO) -> _Header:
    """What the array says it is; the file must be as long as that."""
    try:
        read = _READERS[npy_format.read_magic(file)]
        shape, by_columns, kind = read(file)
    except _NO_HEADER:
        raise MediaError(
            f"{path} is damaged: its header is none of a numpy array.", hint=AGAIN
        ) from None
    if kind.hasobject:
        raise MediaError(
            f"{path} is an array of Python objects, which is never loaded: it could run any code.",
            hint="Save numbers: `numpy.save(path, depth.astype(numpy.float32))`.",
        )
    if kind.kind not in "biuf" or kind.itemsize > 8:
        raise MediaError(f"{path} is an array of {kind}; an array of numbers is needed.")
    size = _size(shape)
    if size is None:
        raise MediaError(
            f"{path} is an array of shape {_said(shape)}; (height, width) is needed, one picture "
            "a file."
        )
    check_size(path, size[1], size[0])
    if file.tell() + kind.itemsize * int(np.prod(shape)) > os.fstat(file.fileno()).st_size:
        raise truncated(path)
    return _Header(shape, size, by_columns, kind)


def _size(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    if len(shape) == 2:
        return shape[0], shape[1], 1
    if len(shape) != 3:
        return None
    if shape[2] in _CHANNELS and shape[0] > 1:
        return shape[0], shape[1], shape[2]
    return (shape[1], shape[2], 1) if shape[0] == 1 else None


def _said(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape[:6])) + (", ...)" if len(shape) > 6 else ")")
