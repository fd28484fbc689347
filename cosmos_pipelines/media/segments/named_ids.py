"""Numbers and colours that label files name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.lines import percent
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer
from cosmos_pipelines.media.segments.labels import Colour, Labels, PassLabels
from cosmos_pipelines.media.segments.legend import Naming
from cosmos_pipelines.media.segments.snap import flat_others, places_in
from cosmos_pipelines.media.segments.values import ids_in, rgba_in

_TOLD: Final = 5
_BY_NAME: Final = (
    "each name has one colour over the whole clip, a function of the name: the colours and ids of "
    "the pictures may change from frame to frame"
)


class NamedIds:
    """Whole numbers, named picture by picture."""

    def __init__(self, layer: Layer | None, labels: PassLabels) -> None:
        self._layer, self._labels = layer, labels
        self._unnamed: set[int] = set()

    def layers(self, _path: Path) -> list[Layer]:
        """The layer of ids; none of PNG."""
        return [self._layer] if self._layer else []

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> tuple[Array, Naming]:
        """The ids of the pixels, named as the labels of this picture do."""
        names = self._labels.at(path).ids

        def name(one: int) -> tuple[str, str]:
            if one not in names:
                self._unnamed.add(one)
            return names.get(one, str(one)), str(one)

        return ids_in(path, self._layer, values_of), name

    def facts(self) -> dict[str, Any]:
        """Nothing more than the legend."""
        return {}

    def notes(self) -> list[str]:
        """How colours were chosen, and which ids have no name."""
        notes = [_BY_NAME]
        if some := sorted(self._unnamed):
            said = ", ".join(map(str, some[:_TOLD]))
            more = f" and {len(some) - _TOLD} more" if len(some) > _TOLD else ""
            notes.append(f"the labels do not name {said}{more}: named by the number")
        return notes


class NamedColours:
    """Colours, named picture by picture; those that edges have mixed are snapped to them."""

    def __init__(self, layer: Layer | None, labels: PassLabels) -> None:
        self._layer, self._labels = layer, labels
        self._snapped: dict[Path, float] = {}
        self._others: set[str] = set()

    def layers(self, _path: Path) -> list[Layer]:
        """The layer of colours; none of PNG."""
        return [self._layer] if self._layer else []

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> tuple[Array, Naming]:
        """The places of the pixels' colours in the legend, and what names those."""
        picture = rgba_in(path, self._layer, values_of)
        names, legend = _legend(self._labels.at(path), opaque=bool((picture[..., 3] == 255).all()))
        if not names:
            raise MediaError(
                f"The labels of {path} name no colours, those of other pictures do.",
                hint='Write {"car": "#ff0000"}, or take all label files away.',
            )
        places, mixed = places_in(picture[..., : legend.shape[1]], legend)
        if mixed == places.size:
            raise MediaError(
                f"{path} has none of the colours that its labels name.",
                hint="Are they the labels of these pictures? Take them away, or put the right ones "
                "there.",
            )
        if mixed and len(others := flat_others(picture[..., : legend.shape[1]], legend)):
            names = [*names, *map(hex_of, others)]
            legend = np.concatenate([legend, others])
            places, mixed = places_in(picture[..., : legend.shape[1]], legend)
            self._others.update(map(hex_of, others))
        self._snapped[path] = mixed / places.size
        return places.astype(np.uint32), lambda place: (names[place], "")

    def facts(self) -> dict[str, Any]:
        """How much was snapped."""
        return {"snapped_share": self._share()} if self._snapped else {}

    def _share(self) -> float:
        return sum(self._snapped.values()) / len(self._snapped)

    def notes(self) -> list[str]:
        """How colours were chosen, and how many were mixed."""
        notes = [_BY_NAME] if self._labels.of else []
        if some := sorted(self._others):
            said = ", ".join(some[:_TOLD])
            more = f" and {len(some) - _TOLD} more" if len(some) > _TOLD else ""
            notes.append(
                f"the labels do not name {said}{more}, which fill areas: named by the colour. "
                "Are they the labels of these pictures?"
            )
        if self._snapped and (share := self._share()):
            notes.append(
                f"{percent(share)} of the pixels had colours that the labels do not name (edges "
                "mix them): each became the nearest of those beside it"
            )
        return notes


def hex_of(colour: Array) -> str:
    """`#c80000`: the name of a colour that nobody has named."""
    return "#" + bytes(colour[:3]).hex()


def code_of_hex(name: str) -> int | None:
    """The colour (0xRRGGBB) of such a name; None of all others."""
    return int(name[1:], 16) if re.fullmatch("#[0-9a-f]{6}", name) else None


def kept_colours(labels: Labels) -> Mapping[str, int]:
    """For each name its colour (0xRRGGBB), where one file holds for all pictures."""
    kept: dict[str, int] = {}
    for colour, name in labels.colours.items():
        kept.setdefault(name, int.from_bytes(bytes(colour[:3])))
    return kept


def _legend(labels: Labels, *, opaque: bool) -> tuple[list[str], Array]:
    """Names, and their colours as (n, 3) or (n, 4) uint8, all different.

    With alpha where the picture has some and the labels say some: Replicator's BACKGROUND and
    UNLABELLED differ in nothing else. Without, the opaque one counts of colours that are alike.
    """
    with_alpha = not opaque and all(len(colour) == 4 for colour in labels.colours)
    places: dict[Colour, str] = {}
    for colour, name in sorted(labels.colours.items(), key=lambda one: -one[0][-1]):
        places.setdefault(colour if with_alpha else colour[:3], name)
    return list(places.values()), np.array(list(places), np.uint8)
