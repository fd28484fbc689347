"""Read PNG files fast and strictly: headers for checking, frames for encoding.

Decoding is FFmpeg's (through PyAV): it releases the interpreter's lock and is about twice as fast
as Pillow, so that a few threads keep the encoder fed.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import saying_why_not_read
from cosmos_pipelines.media.pixels import over_black

T = TypeVar("T")
Array = npt.NDArray[Any]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_ROUND_TO_8 = np.rint(np.arange(65536, dtype=np.float64) / 257).astype(np.uint8)


@dataclass(frozen=True)
class Header:
    """The first chunk of a PNG. `bits` a channel: 1, 2, 4, 8 or 16."""

    width: int
    height: int
    bits: int
    colour: int

    @property
    def grey(self) -> bool:
        """Whether there is one channel (and perhaps alpha)."""
        return self.colour in (_GREY, _GREY_ALPHA)

    @property
    def alpha(self) -> bool:
        """Whether there is an alpha channel."""
        return self.colour in (_GREY_ALPHA, _RGBA)

    @property
    def kind(self) -> str:
        """`8-bit RGB`, `16-bit grey`, ... for messages and records."""
        names = {_GREY: "grey", _RGB: "RGB", _PALETTE: "palette"}
        return f"{self.bits}-bit " + (
            names.get(self.colour) or ("grey+alpha" if self.grey else "RGBA")
        )


def read_header(path: Path) -> Header:
    """Read size and kind of a PNG, and check that its end is there.

    Raises:
        MediaError: missing, not readable, no PNG, or cut off.
    """
    with saying_why_not_read(path), path.open("rb") as f:
        start = f.read(26)
        if len(start) == 0:
            raise MediaError(f"{path} is empty.", hint="Render this frame again.")
        if start[:8] != _SIGNATURE or start[12:16] != b"IHDR":
            raise MediaError(f"{path} is not a PNG picture.")
        f.seek(max(26, os.fstat(f.fileno()).st_size - 64))
        if b"IEND" not in f.read():  # within the last bytes: some writers leave padding after it
            raise MediaError(f"{path} is truncated.", hint="Render or copy this frame again.")
    return Header(*struct.unpack(">IIBB", start[16:26]))


def read_rgb(data: bytes, path: Path) -> Array:
    """The picture as (height, width, 3) uint8: alpha over black, 16 bits rounded, grey spread.

    Raises:
        MediaError: the data are damaged; `path` is named.
    """
    pixels = _pixels(data, path)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = over_black(pixels)
    if pixels.dtype == np.uint16:
        pixels = _ROUND_TO_8[pixels]
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    elif pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels)


def read_grey(data: bytes, path: Path) -> Array:
    """The picture as (height, width) uint8 or uint16, values untouched; alpha is dropped.

    Raises:
        MediaError: damaged, or coloured where one value a pixel is wanted.
    """
    pixels = _pixels(data, path)
    if pixels.ndim == 2:
        return pixels
    first = pixels[..., 0]
    if pixels.shape[2] >= 3 and not (
        np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2])
    ):
        raise MediaError(f"{path} is coloured, but this pass needs one value a pixel (grey).")
    return np.ascontiguousarray(first)


def _pixels(data: bytes, path: Path) -> Array:
    try:
        frame = _decode(data)
        if frame.format.name in ("pal8", "ya8", "ya16be", "monob", "ya16le"):
            return _pixels_by_pillow(data)
        return frame.to_ndarray()
    except (av.error.FFmpegError, OSError, SyntaxError, ValueError, IndexError) as e:
        raise MediaError(
            f"{path} is damaged and cannot be decoded ({e}).", hint="Render this frame again."
        ) from None


def _decode(data: bytes) -> av.VideoFrame:
    context = av.CodecContext.create("png", "r")
    context.options = {"err_detect": "crccheck+explode"}
    return context.decode(av.Packet(data))[0]


def _pixels_by_pillow(data: bytes) -> Array:
    """Rare kinds that PyAV gives no array for: palettes, two colours, grey with alpha."""
    with Image.open(io.BytesIO(data)) as picture:
        see_through = "transparency" in picture.info
        wanted = {"P": "RGBA" if see_through else "RGB", "1": "L"}.get(picture.mode)
        return np.asarray(picture.convert(wanted) if wanted else picture)


def in_order(
    files: Sequence[Path], work: Callable[[bytes, Path], T], hasher: Any = None
) -> Iterator[T]:
    """`work` on each file's bytes, a few ahead in threads, results in order.

    Never more than a handful of frames are held, however long the sequence. `hasher.update` gets
    the SHA-256 digest of each file in turn, if given.
    """
    threads = min(4, os.cpu_count() or 1)

    def one(path: Path) -> tuple[T, bytes]:
        with saying_why_not_read(path):
            data = path.read_bytes()
        return work(data, path), hashlib.sha256(data).digest() if hasher else b""

    with ThreadPoolExecutor(threads, thread_name_prefix="png") as pool:
        for result, digest in _window(pool, one, files, threads + 2):
            if hasher:
                hasher.update(digest)
            yield result


def _window(
    pool: ThreadPoolExecutor, one: Callable[[Path], T], files: Iterable[Path], ahead: int
) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    try:
        for path in files:
            waiting.append(pool.submit(one, path))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
