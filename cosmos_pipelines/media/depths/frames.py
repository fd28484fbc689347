"""Depth of one frame after another as floats in one unit, whatever the files hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.depths.camera import Camera, camera_beside, planar_share
from cosmos_pipelines.media.depths.kinds import EITHER, decoded, kind_of, nothing_in
from cosmos_pipelines.media.files import saying_why_not_read
from cosmos_pipelines.media.layouts.choice import SHOWN
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.png import read_channels, read_values
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer
from cosmos_pipelines.media.sources import Source

_DEPTHS: Final = ("z", "v", "depth")
"""What the channel of depth is called, where there are others beside it."""


@dataclass(frozen=True)
class DepthFrame:
    """One picture. `values`: (height, width) float32 in the kind's unit; NaN where nothing was hit.

    `seen`: (height, width) bool, False where alpha is 0; None: all is. `nothing`: how many pixels
    hit nothing, by words for what says so.
    """

    values: Array
    seen: Array | None
    nothing: dict[str, int]


class DepthFrames:
    """Reads the frames of a depth pass. Safe in threads.

    Raises:
        MediaError: an angle of view is given for depth that is not radial, or the camera that was
            left beside radial depth cannot be used.
    """

    def __init__(self, source: Source, asked: Asked) -> None:
        self.kind, self.label = kind_of(source, asked), source.found.label
        self.background, self._fov = asked.background, asked.fov
        by_file = source.found.meaning == SHOWN and asked.depth_values == "distance"
        self.either = source.found.meaning == EITHER and asked.depth_values == "distance"
        self.whole_numbers = source.bits is not None
        self.as_shown = by_file and self.kind.values == "nearness"
        if asked.fov is not None and not self.kind.radial:
            raise MediaError(
                f"{self.label}: an angle of view is of use for radial depth only, and this is "
                f"taken for {self.kind.name}.",
                hint="Leave `--fov` out; or add `--depth radial`.",
            )
        self._layer = source.layers[0] if source.layers else None
        self.camera = self._camera(source.found.files[0]) if self.kind.radial else None

    def layers(self) -> list[Layer]:
        """The layer of depth; none of PNG."""
        return [self._layer] if self._layer else []

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> DepthFrame:
        """One frame.

        Raises:
            MediaError: damaged, or no numbers of this kind.
        """
        raw, seen = self._raw(path, values_of)
        if raw.dtype.kind not in "fui":
            raise MediaError(f"{path} holds {raw.dtype}, which is no depth.")
        masks = nothing_in(raw, self.kind, self.background)
        with np.errstate(over="ignore", invalid="ignore"):
            values = raw.astype(np.float32)
        if self.kind.per_unit != 1:
            values /= np.float32(self.kind.per_unit)
        if self.camera is not None:
            height, width = values.shape
            values *= planar_share(self._camera(path) or self.camera, width, height)
        nothing = {}
        for words, mask in masks.items():
            if count := int(np.count_nonzero(mask if seen is None else mask & seen)):
                nothing[words] = count
            values[mask] = np.nan
        return DepthFrame(values, seen, nothing)

    @property
    def is_half(self) -> bool:
        """Whether values are floats of 16 bits, which end at 65,504."""
        return self._layer is not None and self._layer.kind in ("half", "float16")

    def _camera(self, path: Path) -> Camera | None:
        return Camera.of_fov(self._fov) if self._fov is not None else camera_beside(path)

    def _raw(self, path: Path, values_of: ReadLayer) -> tuple[Array, Array | None]:
        """(height, width) numbers as they were written, and which pixels are there."""
        if self._layer is None:
            with saying_why_not_read(path):
                data = path.read_bytes()
            if not self.kind.coded:
                return read_values(data, path)
            return self._decoded(read_channels(data, path), path), None
        pixels = values_of(path, self._layer)
        if self.kind.coded:
            return self._decoded(pixels, path), None
        names = [name.lower() for name in self._layer.channels]
        alpha = pixels[..., names.index("a")] if "a" in names[1:] else None
        seen = None if alpha is None or (alpha != 0).all() else alpha != 0
        return np.ascontiguousarray(_one_channel(pixels, names, path)), seen

    def _decoded(self, pixels: Array, path: Path) -> Array:
        if pixels.ndim != 3 or pixels.shape[2] < 3 or pixels.dtype != np.uint8:
            raise MediaError(
                f"{path} is no depth of CARLA, which is 8-bit RGB.",
                hint="Save its raw depth without a colour converter, or leave `--depth carla` out.",
            )
        return decoded(pixels)


def _one_channel(pixels: Array, names: list[str], path: Path) -> Array:
    for name in _DEPTHS:
        if name in names:
            return pixels[..., names.index(name)]
    values = [pixels[..., i] for i, name in enumerate(names) if name != "a" or i == 0]
    floats = pixels.dtype.kind == "f"
    if any(not np.array_equal(values[0], one, equal_nan=floats) for one in values[1:]):
        raise MediaError(
            f"{path} is coloured, but this pass needs one value a pixel (grey).",
            hint="Depth of CARLA is coloured: `--depth carla` reads it.",
        )
    return values[0]
