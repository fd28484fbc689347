"""The values of segment pictures, of any format: ids as whole numbers, colours as eight bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.lines import percent
from cosmos_pipelines.media.files import saying_why_not_read
from cosmos_pipelines.media.pixels import Array, over_black
from cosmos_pipelines.media.png import read_grey, read_rgba
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer

_HINT = "Render flat ids or flat colours, without antialiasing."


def ids_in(path: Path, layer: Layer | None, values_of: ReadLayer = read_layer) -> Array:
    """(height, width) uint32: whole numbers, however they are stored. `layer`: none of PNG.

    Raises:
        MediaError: the file is damaged, or its values are no whole numbers from 0 to 2^32 - 1.
    """
    if layer is None:
        with saying_why_not_read(path):
            data = path.read_bytes()
        grey: Array = read_grey(data, path).astype(np.uint32)
        return grey
    values = values_of(path, layer)[..., 0]
    if values.dtype.kind in "fi":
        whole = np.rint(values)
        wrong = ~((whole == values) & (values >= 0) & (values < 2.0**32))
        if wrong.any():
            raise MediaError(
                f"{path}: {values[wrong][0]:g} in {layer.name or 'it'} is no segment id "
                f"({percent(wrong.mean())} of the picture are no whole numbers).",
                hint=_HINT,
            )
    ids: Array = values.astype(np.uint32)
    return ids


def rgba_in(path: Path, layer: Layer | None, values_of: ReadLayer = read_layer) -> Array:
    """(height, width, 4) uint8. Without alpha it is 255. `layer`: none of PNG.

    16 bits are rounded to 8; floats from 0 to 1 are taken for linear light and become sRGB.

    Raises:
        MediaError: the file is damaged.
    """
    if layer is None:
        with saying_why_not_read(path):
            data = path.read_bytes()
        return read_rgba(data, path)
    values = values_of(path, layer)
    if values.dtype.kind == "f":
        values = _as_srgb(values)
    elif values.dtype == np.uint16:
        values = np.rint(values / 257).astype(np.uint8)
    elif values.dtype != np.uint8:
        raise MediaError(f"{path}: {values.dtype} is no kind of colour.", hint=_HINT)
    if values.shape[2] < 3:
        values = np.concatenate([np.repeat(values[..., :1], 3, axis=2), values[..., 1:2]], axis=2)
    if values.shape[2] == 3:
        values = np.concatenate([values, np.full_like(values[..., :1], 255)], axis=2)
    return np.ascontiguousarray(values[..., :4])


def shown_in(path: Path, layer: Layer | None, values_of: ReadLayer = read_layer) -> Array:
    """(height, width, 3) uint8: the colours, laid over black. Raises as `rgba_in`."""
    return np.ascontiguousarray(over_black(rgba_in(path, layer, values_of)))


def _as_srgb(values: Array) -> Array:
    """Linear light as 8 bits by the curve of IEC 61966-2-1; alpha stays as it is."""
    linear = np.clip(np.nan_to_num(values.astype(np.float32)), 0, 1)
    curve = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    if values.shape[2] in (2, 4):
        curve[..., -1] = linear[..., -1]
    eight: Array = np.rint(curve * 255).astype(np.uint8)
    return eight
