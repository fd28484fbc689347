"""Colour pictures as a person would see them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.colour.named import SAYING
from cosmos_pipelines.media.colour.space import Space, is_of_display, said_of, space_of
from cosmos_pipelines.media.pixels import Array, over_black
from cosmos_pipelines.media.readers.layers import Layer, PictureFacts
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer
from cosmos_pipelines.media.sources import Source

if TYPE_CHECKING:
    from cosmos_pipelines.media.colour.config import Colours

_MOST: Final = 65504.0
"""The largest number of half precision; brighter light shows as this."""


class ColourReader:
    """Reads the colour layer of pictures that are no PNG.

    Pictures are laid over black; values that are multiplied with their alpha are so already.
    """

    def __init__(
        self, label: str, layer: Layer, space: Space, shown: dict[str, Any], processor: Any
    ) -> None:
        self._label, self._layer, self._space = label, layer, space
        self._shown, self._processor = shown, processor
        self._without_value = 0

    @classmethod
    def of(cls, source: Source, asked: Asked) -> Self:
        """For the layer of a pass.

        Raises:
            MediaError: a colour space, view or config that is asked for is not there, or cannot be
                used with these pictures; they are of several spaces, and none is asked for.
        """
        assert source.first
        _check_one_space(source, asked)
        layer = source.layers[0]
        space, colours, shown = _shown(source.first, layer, asked)
        processor = None
        if colours is not None and space.name is not None:
            from cosmos_pipelines.media.colour.look import shown_by

            processor = shown_by(colours, space.name, shown["view"], shown["exposure"])
        return cls(source.found.label, layer, space, shown, processor)

    def layers(self, _path: Path) -> list[Layer]:
        """The layer that is shown."""
        return [self._layer]

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> Array:
        """(height, width, 3) uint8, as shown."""
        read = values_of(path, self._layer)
        values = _of_three(over_black(read) if self._layer.straight else read, self._layer)
        if self._processor is None:
            return _to_eight_bits(values)
        from cosmos_pipelines.media.colour.look import to_eight_bits

        light = _as_light(values)
        odd = np.isnan(light)
        if odd.any():
            self._without_value += int(odd.any(axis=2).sum())
            light = np.where(odd, np.float32(0), light)
        return to_eight_bits(self._processor, np.clip(light, -_MOST, _MOST))

    def facts(self) -> dict[str, Any]:
        """Which space the values were taken for, and by what they are shown."""
        told = {"space": self._space.name, "because": self._space.because}
        return {"colour": {**told, **self._shown}}

    def notes(self) -> list[str]:
        """The same for people."""
        if self._processor is None:
            as_it_is = f"{self._label}: stays as it is, since {self._space.because}"
            return [as_it_is] if self._layer.is_float else []
        view = f"{self._shown['view']!r} of {self._shown['display']!r} ({self._shown['config']})"
        exposure = self._shown["exposure"]
        brighter = f", {exposure:+g} stops" if exposure else ""
        said = f"taken for {self._space.name}, since {self._space.because}"
        if self._space.because == "as asked for":
            said = f"taken for {self._space.name}, as asked for"
        notes = [f"{self._label}: {said}; shown by the view {view}{brighter}"]
        if self._space.assumed:
            notes[0] += ". `--colorspace acescg` and the like read it otherwise"
        if self._without_value:
            notes.append(f"{self._label}: {self._without_value} pixels have no value (NaN): black")
        return notes


def check_colours(source: Source, asked: Asked) -> None:
    """As `ColourReader.of`, but for what only the making of its table would tell.

    Raises:
        MediaError: as there.
    """
    assert source.first
    _check_one_space(source, asked)
    _shown(source.first, source.layers[0], asked)


def _check_one_space(source: Source, asked: Asked) -> None:
    if source.other_space and source.layers[0].is_float and asked.colorspace is None:
        first = source.found.files[0].name
        raise MediaError(
            f"{source.other_space} says another colour space than {first}.",
            hint="Render all frames with one setting, or name the space of all: "
            "`--colorspace acescg`.",
        )


def _shown(
    facts: PictureFacts, layer: Layer, asked: Asked
) -> tuple[Space, Colours | None, dict[str, Any]]:
    """The space of a layer, and how it is shown: as it is (None), or by a view of a config."""
    wanted = (asked.colorspace, asked.view, asked.exposure, asked.ocio)
    if not layer.is_float and not any(wanted) and not _speaks_of_light(facts):
        return Space(None, "whole numbers are what a display shows"), None, {}
    from cosmos_pipelines.media.colour.config import Colours

    colours = Colours.load(asked.ocio)
    space = space_of(facts, layer, colours, asked.colorspace, asked.colorspace_else)
    if space.name is None:
        if asked.exposure:
            raise MediaError(
                f"{facts.path} is what a display shows already ({space.because}), so it takes no "
                "exposure.",
                hint="Leave it out, or name the colour space: `--colorspace NAME`.",
            )
        return space, None, {}
    view, exposure = colours.view(asked.view), asked.exposure or 0.0
    told = {"config": colours.name, "display": colours.display()}
    return space, colours, {**told, "view": view, "exposure": exposure}


def _speaks_of_light(facts: PictureFacts) -> bool:
    """Whether a picture of whole numbers says that it is no picture of a usual display."""
    told = (said_of(facts, name) for name in SAYING)
    return any(name and not is_of_display(name) for name in told)


def _of_three(values: Array, layer: Layer) -> Array:
    """Red, green and blue; grey is spread."""
    order = [layer.channels.index(name) for name in "RGB" if name in layer.channels]
    if len(order) == 3:
        return values[..., order]
    if values.shape[2] >= 3:
        return values[..., :3]
    return np.repeat(values[..., :1], 3, axis=2)


def _as_light(values: Array) -> Array:
    """As float32; whole numbers become 0 to 1."""
    if values.dtype.kind == "u":
        light = np.ascontiguousarray(values, np.float32)  # chosen channels stand one by one
        return light / np.float32(np.iinfo(values.dtype).max)
    return np.ascontiguousarray(values, np.float32)


def _to_eight_bits(values: Array) -> Array:
    """Values that a display shows as they are: 16 and 32 bits are rounded."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype.kind == "u":
        most = float(np.iinfo(values.dtype).max)
        return np.rint(values.astype(np.float64) * (255 / most)).astype(np.uint8)
    shown = np.nan_to_num(values.astype(np.float32), nan=0.0)
    return np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
