"""The ids of a cryptomatte, picture by picture, with the names that its manifests give them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from cosmos_pipelines.errors import MediaError, named
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import ReadLayer, read_facts, read_layer
from cosmos_pipelines.media.segments.colours import BACKGROUND
from cosmos_pipelines.media.segments.cryptomatte import (
    Cryptomatte,
    by_part,
    check_exact,
    chosen,
    read_winners,
)
from cosmos_pipelines.media.segments.legend import Naming
from cosmos_pipelines.media.segments.manifest import names_in
from cosmos_pipelines.media.sources import Source

_TOLD = 5
"""Names that a note lists."""


class MatteIds:
    """Which object covers most of each pixel; names are those of all manifests of the clip."""

    def __init__(self, mattes: Mapping[Path, Cryptomatte], names: Mapping[int, str]) -> None:
        self._mattes, self._names = mattes, names
        self._first = next(iter(mattes.values()))
        self._seen: set[str] = set()
        self.told: list[str] = []

    @classmethod
    def of(cls, source: Source, asked: Asked) -> Self:
        """For the cryptomatte of what is asked for, once the headers of all pictures were read.

        Raises:
            MediaError: a picture has none, or not the layers that the first one has; its ids have
                lost bits; a manifest cannot be used.
        """
        mattes: dict[Path, Cryptomatte] = {}
        names: dict[int, str] = {}
        told: dict[str, None] = {}
        parsed = None
        for path in source.found.files:
            facts = read_facts(path)
            matte = chosen(facts, source.found, asked.segments)
            check_exact(facts, matte)
            first = next(iter(mattes.values()), matte)
            if [one.name for one in matte.layers] != [one.name for one in first.layers]:
                raise MediaError(
                    f"{path} has {', '.join(one.name for one in matte.layers)}, but the pictures "
                    f"before have {', '.join(one.name for one in first.layers)}.",
                    hint="Render all frames with one setting.",
                )
            if (said := (path.parent, matte.manifest, matte.manif_file)) != parsed:
                found, wrong = names_in(path, matte)
                names |= found
                parsed = said
                if wrong:
                    told[wrong] = None
            mattes[path] = Cryptomatte(matte.name, matte.layers)
        ids = cls(mattes, names)
        ids.told = list(told)
        return ids

    def layers(self, path: Path) -> list[Layer]:
        """Its ranks."""
        return by_part(self._mattes[path])

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> tuple[Array, Naming]:
        """The ids of the pixels, and their names."""
        return read_winners(path, self._mattes[path], values_of), self._name

    def _name(self, one: int) -> tuple[str, str]:
        if one == 0:
            return BACKGROUND, ""
        name = self._names.get(one) or f"id {one:08x}"
        self._seen.add(name)
        return name, f"{one:08x}"

    def facts(self) -> dict[str, Any]:
        """Which cryptomatte was taken."""
        layers = [one.name for one in self._first.layers]
        return {"cryptomatte": {"name": self._first.name, "layers": layers}}

    def notes(self) -> list[str]:
        """What was taken, and where manifest and pictures differ."""
        notes = [
            f"the cryptomatte {named(self._first.name)} became flat colours: each pixel has that "
            "of the segment that covers most of it",
            *self.told[:_TOLD],
        ]
        known, seen = set(self._names.values()), self._seen
        if unseen := known - seen:
            notes.append(f"{_some(unseen)} of the manifest {_are(unseen)} in no picture")
        unknown = seen - known
        if unknown and known:
            notes.append(f"{_some(unknown)} {_are(unknown)} not in the manifest: named by the id")
        return notes


def _are(names: set[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _some(names: set[str]) -> str:
    first = ", ".join(named(name) for name in sorted(names)[:_TOLD])
    return first if len(names) <= _TOLD else f"{first} and {len(names) - _TOLD} more"
