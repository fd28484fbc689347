"""Ids as numbers: object and material index, instance ids, tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer
from cosmos_pipelines.media.segmentation import ID_MAP
from cosmos_pipelines.media.segments.legend import Naming, number_naming
from cosmos_pipelines.media.segments.values import ids_in


class NumberIds:
    """Whole numbers that nobody has named."""

    def __init__(self, layer: Layer | None) -> None:
        self._layer = layer

    def layers(self, _path: Path) -> list[Layer]:
        """The layer of ids; none of PNG."""
        return [self._layer] if self._layer else []

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> tuple[Array, Naming]:
        """The ids of the pixels; a name is the number."""
        return ids_in(path, self._layer, values_of), number_naming

    def facts(self) -> dict[str, Any]:
        """How colours were chosen."""
        return {"id_map": ID_MAP}

    def notes(self) -> list[str]:
        """There is nothing to tell."""
        return []
