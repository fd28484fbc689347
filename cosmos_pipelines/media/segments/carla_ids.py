"""Pictures of CARLA's segmentation cameras: tags, instances, or its CityScapes palette."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer
from cosmos_pipelines.media.segments.carla import EARLIER, TAGS
from cosmos_pipelines.media.segments.labels import Labels, PassLabels
from cosmos_pipelines.media.segments.legend import Naming
from cosmos_pipelines.media.segments.values import rgba_in

_LARGEST_OF_ALL: Final = 99
"""CARLA's users may add tags of their own."""
_FEWEST: Final = 3
"""Tags in a picture that is taken for CARLA's though nobody says so; black is none."""
_LOOKED_AT: Final = 10
"""Pictures that are looked at until one tells."""
_COLOURS: Final = {**dict(TAGS.values()), **EARLIER}
TAG_NAMES: Final = Labels(ids={tag: name for tag, (name, _) in TAGS.items()})
PALETTE: Final = Labels(colours={tuple(c.to_bytes(3)): name for name, c in _COLOURS.items()})
"""The names of the colours of CARLA's CityScapes palette."""

Kind = Literal["tags", "instances", "palette"]


def kind_of(
    paths: Iterable[Path], layer: Layer | None, *, told: bool, semantic: bool = False
) -> Kind | None:
    """What CARLA wrote into pictures, as the first one that is not black tells; None: not CARLA's.

    `tags`: small numbers in red and nothing else; `instances`: such with green and blue; `palette`:
    colours of its palette. `told`: somebody says that it is CARLA's. `semantic`: that it is of
    classes; else a picture of few small numbers may be a mask.
    """
    largest = _LARGEST_OF_ALL if told else max(TAGS)
    for path in islice(paths, _LOOKED_AT):
        picture = rgba_in(path, layer)[..., :3]
        seen = picture[picture.any(2)]
        if not seen.size:
            continue
        known = [int.from_bytes(bytes(colour)) for colour in PALETTE.colours]
        codes = seen.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        if np.isin(codes, known).mean() >= 0.5:
            return "palette"
        if seen[:, 0].max() > largest:
            return None
        if (
            not (told or semantic) and np.unique(seen[:, 0]).size < _FEWEST
        ):  # a mask of 1 is no Road
            continue
        return "instances" if seen[:, 1:].any() else "tags"
    return None


def carla_code(name: str) -> int | None:
    """The colour (0xRRGGBB) that CARLA's palette has for a tag's name."""
    return _COLOURS.get(name)


class CarlaIds:
    """The tag in red; of instances the actor's id in green (low byte) and blue (high byte)."""

    def __init__(self, layer: Layer | None, labels: PassLabels) -> None:
        self._layer, self._names = layer, labels.common.ids

    def layers(self, _path: Path) -> list[Layer]:
        """The layer of tags; none of PNG."""
        return [self._layer] if self._layer else []

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> tuple[Array, Naming]:
        """Tags, with the instance in the upper bits."""
        picture = rgba_in(path, self._layer, values_of).astype(np.uint32)
        return picture[..., 0] | picture[..., 1] << 8 | picture[..., 2] << 16, self._name

    def _name(self, one: int) -> tuple[str, str]:
        tag, instance = one & 0xFF, one >> 8
        name = self._names.get(tag) or TAGS.get(tag, (str(tag), 0))[0]
        return (f"{name} {instance}", str(instance)) if instance else (name, str(tag))

    def facts(self) -> dict[str, Any]:
        """Nothing more than the legend."""
        return {}

    def notes(self) -> list[str]:
        """Which version's tags were taken."""
        if self._names:
            return []
        return ["tags are named as CARLA 0.9.14 and later number them; of an earlier version put "
                "a legend.json beside the pictures: {\"1\": \"Building\", ...}"]  # fmt: skip
