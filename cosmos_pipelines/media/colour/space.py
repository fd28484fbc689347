"""Which colour space a picture is in: asked for, said by the file, or assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.errors import MediaError, shown
from cosmos_pipelines.media.colour.config import Colours
from cosmos_pipelines.media.colour.named import CHROMATICITIES, SAYING
from cosmos_pipelines.media.readers.layers import Layer, PictureFacts

LINEAR_REC709: Final = "lin_rec709_scene"
"""What Blender, Unreal, V-Ray, Arnold and RenderMan write unless they are told otherwise."""

_OLD_NAMES: Final = {
    "lin_srgb": LINEAR_REC709,
    "lin_rec709": LINEAR_REC709,
    "linear": LINEAR_REC709,
    "scene_linear": "scene_linear",
    "acescg": "lin_ap1_scene",
    "aces2065-1": "lin_ap0_scene",
    "srgb": "srgb_rec709_scene",
    "1": "lin_ap0_scene",  # acesImageContainerFlag, SMPTE ST 2065-4
}
"""Names that OpenImageIO and renderers give, and those of the Color Interop Forum for them."""

_PRIMARIES: Final[Mapping[str, Sequence[float]]] = {
    LINEAR_REC709: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290),
    "lin_ap1_scene": (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767),
    "lin_ap0_scene": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
    "lin_rec2020_scene": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    "lin_p3d65_scene": (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
    "lin_adobergb_scene": (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290),
}
"""The attribute `chromaticities` of the known spaces: x and y of red, green, blue and white."""


@dataclass(frozen=True)
class Space:
    """A colour space, None for pictures that are shown as they are; `because`: how we know."""

    name: str | None
    because: str
    assumed: bool = False


def space_of(
    facts: PictureFacts,
    layer: Layer,
    colours: Colours,
    asked: str | None,
    otherwise: str | None = None,
) -> Space:
    """The colour space of a layer of a picture.

    `otherwise`: that of floats of which the file does not say it; None: linear Rec.709.

    Whole numbers are taken for what a display shows, floats for light; what the file says of itself
    counts more, and what was asked for counts most.

    Raises:
        MediaError: the space asked for is not in the config, holds no colours, or the picture is of
            logarithmic light and nothing was asked for.
    """
    if asked is not None:
        return Space(_of_colours(colours, asked), "as asked for")
    if (said := _said(facts, colours, layer)) is not None:
        return said
    if not layer.is_float:
        return Space(None, "whole numbers are what a display shows")
    if otherwise is not None:
        name = _of_colours(colours, otherwise)
        return Space(name, "the file does not say it, and cosmos.toml does")
    name = colours.space_if_there(LINEAR_REC709) or colours.space("scene_linear")
    return Space(name, _unknown(facts, colours) or "the file does not say it", assumed=True)


def _unknown(facts: PictureFacts, colours: Colours) -> str:
    """What a file says that the config has no space for; empty where it says nothing."""
    told = {name: said_of(facts, name) for name in SAYING}
    said = next((f"{name} says {shown(one)}" for name, one in told.items() if one), "")
    return said and f"its attribute {said}, which is no space of {colours.name} for colours"


def _of_colours(colours: Colours, wanted: str) -> str:
    name = colours.space(wanted)
    if colours.is_data(name):
        raise MediaError(
            f"The colour space {name!r} holds data, no colours.",
            hint="Name the space of the colour pass: acescg, lin_rec709, ...",
        )
    return name


def said_of(facts: PictureFacts, attribute: str) -> str:
    """What a file says of its colour space; empty where it says nothing, or ffmpeg wrote a DPX.

    ffmpeg calls every DPX linear and converts nothing (libavcodec/dpxenc.c).
    """
    by_ffmpeg = facts.format == "dpx" and str(facts.attributes.get("Software")).startswith("Lavc")
    return "" if by_ffmpeg else str(facts.attributes.get(attribute) or "").strip()


def _said(facts: PictureFacts, colours: Colours, layer: Layer) -> Space | None:
    for attribute in SAYING:
        if not (told := said_of(facts, attribute)):
            continue
        if told.lower() in ("kodaklog", "cineon"):
            raise MediaError(
                f"{facts.path} is logarithmic ({told}), which is no picture to look at.",
                hint="Name its colour space: `--colorspace NAME`.",
            )
        found = colours.space_if_there(told) or _found(colours, _OLD_NAMES.get(told.lower()))
        if found is not None and not colours.is_data(found):
            as_it_is = is_of_display(told)
            return Space(None if as_it_is else found, f"its attribute {attribute} says {told}")
    return _by_primaries(facts, colours, layer)


def _found(colours: Colours, name: str | None) -> str | None:
    return None if name is None else colours.space_if_there(name)


def is_of_display(name: str) -> bool:
    """Whether values of that space are those of a usual display already."""
    return name.lower() in ("srgb", "srgb_rec709_scene", "srgb_rec709_display", "srgb_texture")


def _by_primaries(facts: PictureFacts, colours: Colours, layer: Layer) -> Space | None:
    told = facts.attributes.get(CHROMATICITIES)
    if not layer.is_float or not isinstance(told, tuple) or len(told) != 8:
        return None
    for name, known in _PRIMARIES.items():
        near = all(abs(a - b) < 0.002 for a, b in zip(told, known, strict=True))
        if near and (found := colours.space_if_there(name)) is not None:
            return Space(found, "its attribute chromaticities says so")
    return None
