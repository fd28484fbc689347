"""What a picture file holds: layers of channels, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Layer:
    """Channels of one name in one part of a file.

    `name`: as the renderer wrote it, `ViewLayer.Depth`; empty where there is none. No two layers
    of a file have the same. `channels`: what stands behind that: `R`, `G`, `B`, `A` in this order,
    or `Z`, ... `kind`: how values are stored: `uint8`, `uint16`, `uint32`, `half`, `float`, or
    another name of numpy's. `part`: which of the file's parts; `places`: where in it its channels
    are. `view`: the eye or camera of a file with several, else empty.
    """

    name: str
    channels: tuple[str, ...]
    kind: str
    part: int = 0
    places: tuple[int, ...] = ()
    view: str = ""
    straight: bool = False
    """Its colours are not multiplied by their alpha yet; those of EXR always are."""

    @property
    def is_float(self) -> bool:
        """Whether values are not whole numbers of a fixed range."""
        return self.kind in ("half", "float", "double", "float16", "float32", "float64")


@dataclass(frozen=True)
class PictureFacts:
    """A picture file's header. `width` and `height`: of the picture that is shown, in pixels.

    `attributes`: what all its parts say of themselves, as their format names it; of one that
    several parts have, the first. `compressions`: of each part, as OpenImageIO names it; empty
    where a format has none.
    """

    path: Path
    format: str
    width: int
    height: int
    layers: tuple[Layer, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    compressions: tuple[str, ...] = ()

    def layer(self, name: str) -> Layer | None:
        """The layer of that name; None where there is none."""
        return next((one for one in self.layers if one.name == name), None)
