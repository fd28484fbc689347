"""Read the pixels of PNG files, fast and strictly, at the depth in which they were written.

Decoding is FFmpeg's (through PyAV): it releases the interpreter's lock and is about twice as fast
as Pillow, so that a few threads keep the encoder fed.
"""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
from PIL import Image

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.pixels import Array, over_black
from cosmos_pipelines.media.png_header import GREY, PALETTE

_ROUND_TO_8 = np.rint(np.arange(65536, dtype=np.float64) / 257).astype(np.uint8)
_PACKED = {"ya8": "u1", "ya16be": ">u2", "ya16le": "<u2"}
"""FFmpeg's formats of grey beside alpha, which PyAV gives no array for."""


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


def read_rgba(data: bytes, path: Path) -> Array:
    """The picture as (height, width, 4) uint8, its alpha beside; it is 255 where there is none.

    Raises:
        MediaError: the data are damaged; `path` is named.
    """
    pixels = _pixels(data, path)
    if pixels.dtype == np.uint16:
        pixels = _ROUND_TO_8[pixels]
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    alpha = pixels[..., -1:] if pixels.shape[2] in (2, 4) else np.full_like(pixels[..., :1], 255)
    colour = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.concatenate([colour, alpha], axis=2)


def read_grey(data: bytes, path: Path) -> Array:
    """The picture as (height, width) uint8 or uint16, values untouched; alpha is dropped.

    Raises:
        MediaError: damaged, or coloured where one value a pixel is wanted.
    """
    return read_values(data, path)[0]


def read_values(data: bytes, path: Path) -> tuple[Array, Array | None]:
    """As `read_grey`, and which pixels are there: (height, width) bool, False where alpha is 0.

    None instead of that where all are.

    Raises:
        MediaError: damaged, or coloured where one value a pixel is wanted.
    """
    pixels = _pixels(data, path)
    seen = None
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        there = pixels[..., -1] != 0
        seen = None if there.all() else there
    if pixels.ndim == 3:
        first = pixels[..., 0]
        if pixels.shape[2] >= 3 and not (
            np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2])
        ):
            raise MediaError(
                f"{path} is coloured, but this pass needs one value a pixel (grey).",
                hint="Depth of CARLA is coloured: `--depth carla` reads it.",
            )
        pixels = np.ascontiguousarray(first)
    bits, colour = data[24], data[25]
    if bits < 8 and colour == GREY:  # spread to 0..255 by the decoder
        pixels = pixels // np.uint8(255 // (2**bits - 1))
    return pixels, seen


def read_channels(data: bytes, path: Path) -> Array:
    """The picture as (height, width) or (height, width, channels), values untouched.

    Raises:
        MediaError: the data are damaged; `path` is named.
    """
    return _pixels(data, path)


def _pixels(data: bytes, path: Path) -> Array:
    """(height, width) or (height, width, channels); grey of less than 8 bits spread to 0..255."""
    try:
        frame = _decode(data)
        bits, colour = data[24], data[25]
        if colour == PALETTE or (bits < 8 and colour == GREY):
            return _few_colours(data, bits)
        kind = _PACKED.get(frame.format.name)
        return _packed(frame, kind) if kind else frame.to_ndarray()
    except (av.error.FFmpegError, OSError, SyntaxError, ValueError, IndexError) as e:
        raise MediaError(
            f"{path} is damaged and cannot be decoded ({e}).", hint="Render this frame again."
        ) from None


def _decode(data: bytes) -> av.VideoFrame:
    context = av.CodecContext.create("png", "r")
    context.options = {"err_detect": "crccheck+explode"}
    return context.decode(av.Packet(data))[0]


def _packed(frame: av.VideoFrame, kind: str) -> Array:
    """The only plane of grey beside alpha as (height, width, 2), without what pads its rows."""
    plane = frame.planes[0]
    samples: Array = np.frombuffer(bytes(plane), kind)
    rows = samples.reshape(frame.height, -1)[:, : 2 * frame.width]
    return rows.reshape(frame.height, frame.width, 2).astype(np.dtype(kind).newbyteorder("="))


def _few_colours(data: bytes, bits: int) -> Array:
    """By Pillow: FFmpeg mistakes which grey of less than 8 bits is transparent."""
    with Image.open(io.BytesIO(data)) as picture:
        key = picture.info.get("transparency")
        if picture.mode == "P":
            return np.asarray(picture.convert("RGB" if key is None else "RGBA"))
        grey = np.asarray(picture.convert("L"))
    if key is None:
        return grey
    most = 2**bits - 1
    hidden = grey == min(key, most) * (255 // most)  # of one bit Pillow says 255 for 1
    alpha = np.where(hidden, 0, 255).astype(np.uint8)
    return np.stack([grey, alpha], axis=-1)
