"""EXR, JPEG, TIFF, WebP, DPX, TGA and HDR by OpenImageIO.

It releases the interpreter's lock, so that a few threads keep the encoder fed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import OpenImageIO as oiio

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.bands import ITS_OWN, in_bands, kind_of
from cosmos_pipelines.media.readers.channels import Channel, layers_of, unique
from cosmos_pipelines.media.readers.layers import Layer, PictureFacts
from cosmos_pipelines.media.readers.limits import check_size
from cosmos_pipelines.media.readers.whole import check_whole

for _name, _value in {
    "limits:channels": 1024,
    "limits:imagesize_MB": 16384,
    "try_all_readers": 0,  # a file is what its name says
    "missingcolor": "",  # what is damaged is no black pixel
    "threads": 1,  # frames are read in threads of ours
}.items():
    oiio.attribute(_name, _value)

_KINDS: Final = {its: ours for ours, its in ITS_OWN.items()}
_NO_END: Final = frozenset({"hdr", "targa"})
"""Formats that do not say where they end: they are whole if they can be decoded."""
_MULTIPLIED: Final = 4
"""TGA's number of colours that are multiplied by their alpha."""
_PLAIN: Final = "Render plain pictures: upright, square, RGB or grey."


def oiio_facts(path: Path) -> PictureFacts:
    """Read the headers of all parts of a file.

    Raises:
        MediaError: missing, not readable, cut off, or a picture that cannot be used: deep, turned,
            of pixels that are not square, moving, of several pages, too large.
    """
    check_whole(path)
    with _opened(path) as picture:
        specs = list(_specs(picture))
        kind = str(picture.format_name())
        attributes: dict[str, Any] = {}
        for spec in specs:
            for one in spec.extra_attribs:
                attributes.setdefault(one.name, one.value)
        first = specs[0]
        check_size(path, first.full_width, first.full_height)
        for spec in specs:
            check_size(path, spec.width, spec.height)
        if refused := _refused(specs, attributes, kind):
            raise MediaError(f"{path} {refused}.", hint=_PLAIN)
        if kind in _NO_END:
            _read(path, picture, 0, range(first.nchannels), str(first.format))
        layers = [one for part, spec in enumerate(specs) for one in _layers(spec, part, kind)]
        size = (first.full_width, first.full_height)
        compressions = tuple(str(s.get_string_attribute("compression")) for s in specs)
        return PictureFacts(path, kind, *size, unique(layers), attributes, compressions)


def oiio_values(path: Path, layer: Layer) -> Array:
    """The layer's values in the picture that is shown, as (height, width, channels).

    They are as they were written: colours of a `straight` layer are not multiplied by alpha. What
    lies outside of the data window is 0.

    Raises:
        MediaError: the file is damaged, or another than its header said.
    """
    return oiio_layers(path, (layer,))[0]


def oiio_layers(path: Path, layers: Sequence[Layer]) -> list[Array]:
    """As `oiio_values`, of several layers; a part of an EXR file is decoded once for all of them.

    Raises:
        MediaError: as `oiio_values`.
    """
    values: dict[Layer, Array] = {}
    with _opened(path) as picture:
        for part in dict.fromkeys(layer.part for layer in layers):
            wanted = [layer for layer in layers if layer.part == part]
            values |= zip(wanted, _of_part(path, picture, wanted), strict=True)
    return [values[layer] for layer in layers]


def _of_part(path: Path, picture: Any, layers: Sequence[Layer]) -> list[Array]:
    there = picture.seek_subimage(layers[0].part, 0)
    spec = picture.spec()
    for layer in layers:
        if not there or max(layer.places) >= spec.nchannels:
            raise MediaError(f"{path} has no layer {layer.name} any more.", hint=_AGAIN)
    found = _values(path, picture, spec, layers)
    for layer, values in zip(layers, found, strict=True):
        if picture.format_name() == "targa" and layer.straight and not values[..., -1].any():
            values[..., -1] = 255  # 32 bits a pixel, of which the last 8 were never used
    return [_in_display_window(values, spec) for values in found]


def _values(path: Path, picture: Any, spec: Any, layers: Sequence[Layer]) -> list[Array]:
    exr = picture.format_name() == "openexr"
    if exr and (len(layers) > 1 or not _together(layers[0], _kinds(spec))):
        try:
            return in_bands(picture, spec, _kinds(spec), layers)
        except OSError:
            raise _damaged(path, picture) from None
    return [_read(path, picture, one.part, one.places, one.kind) for one in layers]


def _together(layer: Layer, kinds: Sequence[str]) -> bool:
    """Whether the channels of a layer stand side by side and are of one kind."""
    first, last = min(layer.places), max(layer.places)
    return last - first + 1 == len(layer.places) and {kinds[p] for p in layer.places} == {
        layer.kind
    }


_AGAIN: Final = "Render this frame again."


def _read(path: Path, picture: Any, part: int, places: Sequence[int], kind: str) -> Array:
    """Channels that stand together are read at once; a kind is converted only among floats."""
    kinds = _kinds(picture.spec())
    one_kind = {kinds[place] for place in places} == {kind}
    first, last = min(places), max(places)
    if one_kind and last - first + 1 == len(places):
        values = _raw(path, picture, part, first, last + 1, kind)
        order = [place - first for place in places]
        in_order = all(b == a + 1 for a, b in pairwise(order))
        return values if in_order else np.ascontiguousarray(values[..., order])
    single = [_raw(path, picture, part, p, p + 1, kinds[p]).astype(kind_of(kind)) for p in places]
    return np.concatenate(single, axis=2)


def _raw(path: Path, picture: Any, part: int, first: int, last: int, kind: str) -> Array:
    values: Array | None = picture.read_image(part, 0, first, last, ITS_OWN.get(kind, kind))
    if values is None or picture.has_error:
        raise _damaged(path, picture)
    return values


def _damaged(path: Path, picture: Any) -> MediaError:
    said = _in_one_line(picture.geterror(), path)
    return MediaError(f"{path} is damaged and cannot be decoded ({said}).", hint=_AGAIN)


def _kinds(spec: Any) -> list[str]:
    """The kinds of the channels of a part."""
    return [_kind(k) for k in spec.channelformats] or [_kind(spec.format)] * spec.nchannels


def _kind(described: Any) -> str:
    return _KINDS.get(str(described), str(described))


def _in_display_window(values: Array, spec: Any) -> Array:
    size = (spec.full_height, spec.full_width)
    if values.shape[:2] == size and (spec.x, spec.y) == (spec.full_x, spec.full_y):
        return values
    shown = np.zeros((*size, values.shape[2]), values.dtype)
    x, y = spec.x - spec.full_x, spec.y - spec.full_y
    rows = slice(max(0, y), min(size[0], y + spec.height))
    columns = slice(max(0, x), min(size[1], x + spec.width))
    if rows.start < rows.stop and columns.start < columns.stop:
        there = values[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        shown[rows, columns] = there
    return shown


def _specs(picture: Any) -> Iterator[Any]:
    part = 0
    while picture.seek_subimage(part, 0):
        yield picture.spec()
        part += 1


def _refused(specs: Sequence[Any], attributes: Mapping[str, Any], kind: str) -> str | None:
    first = specs[0]
    if any(spec.deep for spec in specs):
        return "is a deep picture"
    if attributes.get("oiio:Movie"):
        return "is a moving picture"
    same = [s for s in specs if (s.width, s.height) == (first.width, first.height)]
    if kind != "openexr" and len(same) > 1:  # smaller ones are previews
        return f"holds {len(same)} pictures"
    if first.depth > 1:
        return "is a volume"
    if "CMYK" in (attributes.get("jpeg:ColorSpace"), attributes.get("tiff:ColorSpace")):
        return "is CMYK"
    orientation = attributes.get("Orientation", 1)
    if isinstance(orientation, int) and 2 <= orientation <= 8:
        return f"is to be shown turned or mirrored (EXIF orientation {orientation})"
    across = attributes.get("PixelAspectRatio", 1.0)
    square = not isinstance(across, float) or not 0 < across < math.inf or abs(across - 1) < 0.005
    if not square:
        return f"has pixels that are not square ({across:g}:1)"
    return None


def _layers(spec: Any, part: int, kind: str) -> list[Layer]:
    if kind != "openexr" and part:
        return []
    channels = [
        Channel(name, kind_, place)
        for place, (name, kind_) in enumerate(zip(spec.channelnames, _kinds(spec), strict=True))
    ]
    name = str(spec.get_string_attribute("oiio:subimagename") or "") if kind == "openexr" else ""
    views = [str(spec.getattribute("view"))] if spec.getattribute("view") else []
    views = views or _several(spec.getattribute("multiView"))
    found = layers_of(channels, part, name, views)
    straight = _is_straight(spec, kind)
    return [replace(one, straight=straight and one.channels[-1:] == ("A",)) for one in found]


def _is_straight(spec: Any, kind: str) -> bool:
    if kind == "targa":
        return bool(spec.get_int_attribute("targa:alpha_type") != _MULTIPLIED)
    return kind == "webp" or bool(
        spec.get_int_attribute("tiff:UnassociatedAlpha")
        or spec.get_int_attribute("oiio:UnassociatedAlpha")
    )


def _several(views: Any) -> list[str]:
    if isinstance(views, str):
        return [views]
    return [str(view) for view in views] if isinstance(views, (list, tuple)) else []


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    as_written = oiio.ImageSpec()
    as_written.attribute("oiio:UnassociatedAlpha", 1)
    picture = oiio.ImageInput.open(str(path), as_written)
    if picture is None:
        said = _in_one_line(oiio.geterror(), path)
        raise MediaError(f"{path} cannot be read ({said}).", hint=_AGAIN)
    try:
        yield picture
    finally:
        picture.close()


def _in_one_line(said: str, path: Path) -> str:
    """OpenImageIO's words without the path, which stands in ours: its first line, in short."""
    first = next(iter(said.strip().splitlines()), "no reason is given")
    for name in (f'"{path}"', f"({path})", str(path)):
        first = first.replace(name, "")
    return " ".join(first.split()).removesuffix(".").rstrip(" :")[:200]
