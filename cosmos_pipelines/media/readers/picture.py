"""One door to all formats: a file's header, and the values of one of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer, PictureFacts

ARRAYS: Final = frozenset({".npy"})
PICTURES: Final = frozenset(
    {".exr", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".dpx", ".tga", ".hdr"}
)
"""Formats that OpenImageIO reads for us. PNG has a reader of its own (`media.png`)."""


def read_facts(path: Path) -> PictureFacts:
    """Read a file's header.

    Raises:
        MediaError: it is missing, not readable, cut off, or of a kind that cannot be used.
    """
    if path.suffix.lower() in ARRAYS:
        from cosmos_pipelines.media.readers.npy import npy_facts

        return npy_facts(path)
    from cosmos_pipelines.media.readers.oiio import oiio_facts

    return oiio_facts(path)


ReadLayer = Callable[[Path, Layer], Array]
"""As `read_layer`, which reads the file; or what gives values that were read already."""


def read_layer(path: Path, layer: Layer) -> Array:
    """The values of a layer as (height, width, channels), of the file's own type.

    Raises:
        MediaError: it is damaged, or has no such layer.
    """
    if path.suffix.lower() in ARRAYS:
        from cosmos_pipelines.media.readers.npy import npy_values

        return npy_values(path)
    from cosmos_pipelines.media.readers.oiio import oiio_values

    return oiio_values(path, layer)


def read_at_once(path: Path, layers: Iterable[Layer]) -> ReadLayer:
    """Read some layers of a file; the result gives the values of each.

    Raises:
        MediaError: as `read_layer`.
    """
    wanted = list(dict.fromkeys(layers))
    if len(wanted) < 2 or path.suffix.lower() in ARRAYS:
        return read_layer
    from cosmos_pipelines.media.readers.oiio import oiio_layers

    values = dict(zip(wanted, oiio_layers(path, wanted), strict=True))
    return lambda _, layer: values[layer]
