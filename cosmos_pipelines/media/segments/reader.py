"""Segments of any kind become flat colours, and a legend of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer
from cosmos_pipelines.media.segmentation import MANY_COLOURS, MOST_IDS, flat_colours, many_colours
from cosmos_pipelines.media.segments.carla_ids import (
    PALETTE,
    TAG_NAMES,
    CarlaIds,
    Kind,
    carla_code,
    kind_of,
)
from cosmos_pipelines.media.segments.colours import Colours, counted, number_code, painted
from cosmos_pipelines.media.segments.labels import PassLabels, labels_of
from cosmos_pipelines.media.segments.legend import Legend, Naming
from cosmos_pipelines.media.segments.matte_ids import MatteIds
from cosmos_pipelines.media.segments.named_ids import (
    NamedColours,
    NamedIds,
    code_of_hex,
    kept_colours,
)
from cosmos_pipelines.media.segments.number_ids import NumberIds
from cosmos_pipelines.media.segments.values import shown_in
from cosmos_pipelines.media.sources import Source


class Ids(Protocol):
    """Pictures of ids, and what these stand for. Safe in threads."""

    def layers(self, path: Path) -> list[Layer]:
        """What `read` takes of a file; none of PNG."""
        ...

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> tuple[Array, Naming]:
        """(height, width) uint32, and what names those that are in it.

        Raises:
            MediaError: the file is damaged or unsuitable.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """For scene.json, once all pictures were read: what was taken."""
        ...

    def notes(self) -> list[str]:
        """The same for people."""
        ...


def reader_of(source: Source, asked: Asked) -> SegmentReader | ColourPictures:
    """The reader of a pass of segments.

    Raises:
        MediaError: its pictures cannot be used, or what is beside them cannot.
    """
    layer = source.layers[0] if source.layers else None
    if source.found.meaning == "cryptomatte":
        return SegmentReader(source, MatteIds.of(source, asked), dict[str, int]().get)
    if asked.segments not in (None, "objects"):
        raise MediaError(
            f"{source.found.label} is no cryptomatte, of which `--segments {asked.segments}` would "
            "take that of the file.",
            hint="Leave `--segments` out, or take another layer: `--pass segmentation=LAYER`.",
        )
    coloured = len(layer.channels) >= 3 if layer else not (source.picture and source.picture.grey)
    labels = labels_of(source.found)
    if coloured and source.found.beside and labels.colours:
        kept = kept_colours(labels.common) if not labels.of else {}

        def given(name: str) -> int | None:
            return kept.get(name, code_of_hex(name))

        return SegmentReader(source, NamedColours(layer, labels), given)
    if coloured and (kind := written_by_carla(source)):
        palette = PassLabels({}, PALETTE)
        ids: Ids = NamedColours(layer, palette) if kind == "palette" else CarlaIds(layer, labels)
        return SegmentReader(source, ids, carla_code)
    if coloured:
        return ColourPictures(source, layer)
    if source.found.meaning == "carla":
        tags = PassLabels({}, TAG_NAMES | labels.common)
        return SegmentReader(source, NamedIds(layer, tags), carla_code)
    if source.found.beside:
        given = number_code if not labels.name_background else _all_but_0
        return SegmentReader(source, NamedIds(layer, labels), given)
    return SegmentReader(source, NumberIds(layer), number_code)


def _all_but_0(name: str) -> int | None:
    """As `number_code`; 0 is not black where another id is the background."""
    return number_code(name) or None


def written_by_carla(source: Source) -> Kind | None:
    """What CARLA wrote; only bare tags are known without a word that says so.

    They are all but black, so that nobody means them as colours.
    """
    layer = source.layers[0] if source.layers else None
    told = source.found.meaning == "carla"
    semantic = "semantic" in source.found.label.lower()
    kind = kind_of(source.found.files, layer, told=told, semantic=semantic)
    return kind if told or kind == "tags" else None


class ColourPictures:
    """Segments that are colours already, of which nobody says what they stand for."""

    def __init__(self, source: Source, layer: Layer | None) -> None:
        self._source, self._layer = source, layer
        self._first = 0

    def layers(self, _path: Path) -> list[Layer]:
        """The layer of colours; none of PNG."""
        return [self._layer] if self._layer else []

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> Array:
        """(height, width, 3) uint8, untouched."""
        picture = shown_in(path, self._layer, values_of)
        if path == self._source.found.files[0]:
            self._first = flat_colours(picture)
        return picture

    def facts(self) -> dict[str, Any]:
        """There is no legend."""
        return {}

    def notes(self) -> list[str]:
        """Whether they can be flat colours."""
        found = self._source.found
        notes = [many_colours(found.label, self._first)] if self._first > MANY_COLOURS else []
        if self._layer and self._layer.is_float:
            notes.append(
                f"{found.label}: its colours were taken for linear light, and are sRGB now"
            )
        if found.beside:
            notes.append(f"{found.label}: {found.beside[0].name} names no colours: it is not used")
        return notes


class SegmentReader:
    """Reads segments as colours, which are functions of their names.

    `given`: the colour (0xRRGGBB) that a name has by another rule; None: it has none.
    """

    def __init__(self, source: Source, ids: Ids, given: Callable[[str], int | None]) -> None:
        self._label, self._ids = source.found.label, ids
        self._height, self._width = source.height & ~1, source.width & ~1
        self._named_by_numbers = isinstance(ids, NumberIds)
        self._legend = Legend(Colours(given))

    def layers(self, path: Path) -> list[Layer]:
        """What the ids are read of."""
        return self._ids.layers(path)

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> Array:
        """(height, width, 3) uint8, of even height and width."""
        ids, naming = self._ids.read(path, values_of)
        ids = np.ascontiguousarray(ids[: self._height, : self._width])
        codes = self._legend.codes(path, counted(ids), naming)
        if self._named_by_numbers and len(self._legend.names) > MOST_IDS:
            raise MediaError(
                f"{path}: {len(self._legend.names)} different values so far are no segment ids.",
                hint="Render flat ids or flat colours, without antialiasing.",
            )
        return painted(ids, codes)

    def facts(self) -> dict[str, Any]:
        """The legend, and what was taken."""
        return {"legend": self._legend.entries(), **self._ids.facts()}

    def notes(self) -> list[str]:
        """What was assumed, for people."""
        notes = self._ids.notes()
        if left := self._legend.left_out():
            notes.append(f"the legend leaves out the {left} smallest segments")
        return [f"{self._label}: {note}" for note in notes]
