"""What the numbers of a depth pass mean, and which stand for nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.depth_range import Direction
from cosmos_pipelines.media.layouts.choice import SHOWN
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.sources import Source

HUGE: Final = 1e9
"""Floats of this amount mean nothing hit: Blender writes 1e10, others the largest float."""

EITHER: Final = "vray"
"""A meaning: distances, unless they are normalised; then near or far may be bright."""

_CARLA_M: Final = 1000.0
_CARLA_CODES: Final = (1 << 24) - 1


@dataclass(frozen=True)
class Kind:
    """How numbers become depths: `per_unit` of them are one `unit`.

    `values`: whether a larger one is farther. `radial`: distances to the point of the camera.
    `coded`: in the three bytes of an RGB pixel. `hollow`: 0 means not measured, since nothing lies
    in the camera itself.
    """

    name: str
    values: Direction = "distance"
    unit: str | None = None
    per_unit: float = 1
    radial: bool = False
    coded: bool = False
    hollow: bool = False

    def in_own_unit(self, metres: float | None) -> float | None:
        """A distance as a value of this kind; None where that is infinite."""
        if self.unit == "1/m" and metres is not None:
            return 1 / metres if metres else None
        return metres


_KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("distance"),
        Kind("normalised"),
        Kind("nearness", "nearness"),
        Kind("inverse", "nearness", unit="1/m", hollow=True),
        Kind("planar", hollow=True),
        Kind("radial", radial=True, hollow=True),
        Kind("millimetres", unit="m", per_unit=1000, hollow=True),
        Kind("carla", unit="m", per_unit=_CARLA_CODES / _CARLA_M, coded=True),
    )
}
"""By the meaning of a pass. CARLA: carla.readthedocs.io/en/latest/ref_sensors, depth camera."""

_AS_PNG: Final = ("distance", "normalised", "nearness")


def kind_of(source: Source, asked: Asked) -> Kind:
    """As asked; or, where `distance` is asked (the default), as the files' names say."""
    name, told = asked.depth_values, source.found.meaning
    if told == SHOWN:
        told = "nearness" if source.bits == 8 else ""
    if told == EITHER:
        told = ""
    return _KINDS[told or name if name == "distance" else name]


def is_plain(source: Source, asked: Asked) -> bool:
    """Whether a depth pass of PNG is whole numbers whose unit and range nobody asked about."""
    given = (asked.near, asked.far, asked.background, asked.fov)
    return kind_of(source, asked).name in _AS_PNG and given == (None, None, None, None)


def decoded(pixels: Array) -> Array:
    """CARLA's 24-bit codes (uint32) of (height, width, 3 or 4) uint8."""
    wide = pixels.astype(np.uint32)
    codes: Array = wide[..., 0] | wide[..., 1] << 8 | wide[..., 2] << 16
    return codes


def nothing_in(raw: Array, kind: Kind, asked: float | None) -> dict[str, Array]:
    """Which of (height, width) numbers say that nothing was hit, by words for what says so.

    `asked`: the number that the user has named. Of the others, the first that fits.
    """
    found: dict[str, Array] = {}
    if asked is not None:
        with np.errstate(over="ignore"):
            same = raw == (raw.dtype.type(asked) if raw.dtype.kind == "f" else asked)
        found[text_of(asked)] = same
    if raw.dtype.kind == "f":
        amount = np.abs(raw.astype(np.float32))
        if not (amount < HUGE).all():
            found["infinite"] = np.isinf(raw)
            found["no numbers (NaN)"] = np.isnan(raw)
            found["1e10"] = amount == np.float32(1e10)
            found["more than 1e9"] = amount >= HUGE
    elif kind.values == "distance":
        largest = _CARLA_CODES if kind.coded else int(np.iinfo(raw.dtype).max)
        found["1000 m" if kind.coded else str(largest)] = raw == largest
    left = np.ones(raw.shape, bool)
    for words, mask in found.items():
        found[words] = mask & left
        left &= ~mask
    return found


def text_of(value: float) -> str:
    """A number as it is told: `1e10`, `-1`."""
    return f"{value:.9g}".replace("e+", "e")
