"""Channels of one part of an EXR file, band by band, so that each block of pixels is decoded once.

A block holds all channels: to read them one after the other would decode it again for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer

ITS_OWN: Final = {"uint32": "uint", "int32": "int"}
"""OpenImageIO's names of kinds where they are not ours. It takes ours for none, and floats then."""
_FLOATS: Final = ("half", "float")
_LINES: Final = 32
"""Lines that are read together: whole blocks of all compressions but those of large blocks."""
_MORE_LINES: Final = 256
_OF_MORE: Final = ("dwab", "htj2k256")


def kind_of(kind: str) -> np.dtype[Any]:
    """numpy's type of a layer's kind."""
    return np.dtype({"half": "float16", "float": "float32", "double": "float64"}.get(kind, kind))


def in_bands(picture: Any, spec: Any, kinds: Sequence[str], layers: Sequence[Layer]) -> list[Array]:
    """The values of layers of the part that an opened picture stands at.

    Each as (height, width, channels) in its data window, of the layer's kind. `kinds`: of all
    channels of the part.

    Raises:
        OSError: a block cannot be decoded; the picture's own error says why.
    """
    values = [
        np.empty((spec.height, spec.width, len(one.places)), kind_of(one.kind)) for one in layers
    ]
    for kind, places in _reads(kinds, layers):
        first, last = min(places), max(places) + 1
        for rows in _bands(spec):
            band = _band(picture, spec, layers[0].part, rows, (first, last), kind)
            for one, into in zip(layers, values, strict=True):
                for at, place in enumerate(one.places):
                    if place in places:
                        into[rows, :, at] = band[..., place - first]
    return values


def _reads(kinds: Sequence[str], layers: Sequence[Layer]) -> Iterator[tuple[str, set[int]]]:
    """What is read at once, and as what: half floats as floats where both are wanted."""
    wanted = {place for one in layers for place in one.places}
    floats = {place for place in wanted if kinds[place] in _FLOATS}
    if floats:
        yield "half" if {kinds[p] for p in floats} == {"half"} else "float", floats
    for kind in sorted({kinds[place] for place in wanted - floats}):
        yield kind, {place for place in wanted if kinds[place] == kind}


def _bands(spec: Any) -> Iterator[slice]:
    lines = spec.tile_height
    if not lines:
        compression = str(spec.get_string_attribute("compression"))
        lines = _MORE_LINES if compression.startswith(_OF_MORE) else _LINES
    for start in range(0, spec.height, lines):
        yield slice(start, min(start + lines, spec.height))


def _band(
    picture: Any, spec: Any, part: int, rows: slice, channels: tuple[int, int], kind: str
) -> Array:
    named = ITS_OWN.get(kind, kind)
    y = (spec.y + rows.start, spec.y + rows.stop)
    if spec.tile_width:
        x = (spec.x, spec.x + spec.width)
        values = picture.read_tiles(part, 0, *x, *y, 0, 1, *channels, named)
    else:
        values = picture.read_scanlines(part, 0, *y, 0, *channels, named)
    if values is None or picture.has_error:
        raise OSError
    band: Array = values.reshape(rows.stop - rows.start, spec.width, channels[1] - channels[0])
    return band
