"""Which layers of a picture are which pass, by the names that renderers give them. Pure.

Who writes what, and where that is said:

- Blender: `VIEWLAYER.PASS`: `Combined`, `Depth`, `Mist` (mapped to 0..1), `IndexOB`, `IndexMA`,
  from 5.0 on `Object Index` and `Material Index`; `CryptoObject00`, `CryptoMaterial00`,
  `CryptoAsset00`. The compositor's picture is `Composite.Combined` (docs.blender.org, "Passes";
  multilayer files that Blender 5.0 wrote).
- Houdini: Mantra writes `C` without a name, `Pz`, `Op_Id`, `Prim_Id`; Karma `C`, `hitPz`, `primid`
  and a light's share as `C_LIGHT` (sidefx.com, "AOVs" and "Karma Standard Render Vars").
- Arnold: RGBA without a name, `Z`, `ID`, `crypto_object00`, `crypto_material00`, `crypto_asset00`;
  `crypto_object` without a number is a preview (help.autodesk.com, "Cryptomatte Shader").
- V-Ray: RGBA without a name, `VRayZDepth` or `zDepth`, `VRayRenderID`, `nodeID`, `VRayMtlID`,
  `VRayCryptomatte00`, `effectsResult` (docs.chaos.com, "Render Elements").
- RenderMan: `Ci`, `z`, `id`, `zback`, the far side (rmanwiki, "Arbitrary Output Variables").
- Redshift: `Beauty`, `Z` or `Depth`, `ObjectID`, `MaterialID`, `Cryptomatte00`, `PuzzleMatte`
  (help.maxon.net, "AOVs").
- Unreal: `FinalImage` without a name, `FinalImageMovieRenderQueue_WorldDepth`, its users' materials
  as `..._SceneDepth`, a Cryptomatte `ActorHitProxyMask00` (MoviePipelineObjectIdPass.cpp).
- Nuke: `rgba`, `depth.Z` (learn.foundry.com, "Channels").
- Cryptomatte: `cryptomatte/KEY/name` of the attributes is what stands before the number of its
  layers (github.com/Psyop/Cryptomatte, specification 1.2.0).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from cosmos_pipelines.media.pass_names import PASSES, recognise
from cosmos_pipelines.media.readers.layers import Layer

_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "color": (
        *("", "combined", "rgba", "c", "ci", "beauty", "finalimage", "rgb", "color", "colour"),
        *("image", "main", "primary", "default", "effectsresult"),
    ),
    "depth": (
        *("distancetoimageplane", "depth", "z", "zdepth", "vrayzdepth", "hitpz", "pz"),
        *("worlddepth", "scenedepth", "distancetocamera", "hitdist", "distance", "zbuffer"),
    ),
    "segmentation": (
        *("indexob", "objectindex", "objectid", "objectids", "objid", "nodeid", "renderid"),
        *("vrayrenderid", "opid", "instanceid", "instid", "instancesegmentation", "primid", "id"),
        *("semanticsegmentation", "semanticid", "segmentation", "customstencil"),
        *("indexma", "materialindex", "materialid", "matid", "mtlid", "vraymtlid"),
    ),
    "edge": ("edge", "edges", "canny", "lineart"),
    "vis": ("vis", "blur"),
}
"""Names in small letters without separators, of a pass the better ones first."""
_NAMES: Final = {word: (name, i) for name, words in _WORDS.items() for i, word in enumerate(words)}
_MEANINGS: Final = {
    "distancetocamera": "radial",
    "hitdist": "radial",
    "distancetoimageplane": "planar",
    "mist": "normalised",
    "vrayzdepth": "vray",
    "depthnormalized": "normalised",
    "normalizeddepth": "normalised",
}
_ENDS: Final = ("worlddepth", "scenedepth")
"""Unreal puts the names of its renderer and of a material before these."""
_NONE: Final = frozenset({"n", "p", "zback", "depthback", "raydepth", "puzzlematte", "noisyimage"})
_MATTES: Final = ("object", "actorhitproxymask", "asset", "", "material")
"""Kinds of Cryptomattes, the better ones first; '' for what says nothing."""
_RANK: Final = re.compile(r"(.*?)\.?(\d\d)")
_COMPOSITE: Final = "Composite"
_AFTER: Final = 100
"""Ranks behind those of the names that are known: of words, then of normalised depth."""


@dataclass(frozen=True)
class LayerPass:
    """What of a file can be one pass.

    `layers`: their names in the file, of a Cryptomatte in the order of their ranks. `meaning`: how
    values are to be read, as `sequence.Pass` has it. `group`: the view layer, camera or eye.
    `clear`: whether the layer's own name says so. Of two the one of the lower `rank` is better.
    """

    name: str
    layers: tuple[str, ...]
    meaning: str = ""
    group: str = ""
    rank: int = 0
    clear: bool = True

    @property
    def label(self) -> str:
        """For people: the layer's name; of a Cryptomatte without the number of the rank."""
        name = self.layers[0] or "RGB"
        return name[:-2].rstrip(".") if self.meaning == "cryptomatte" else name


@dataclass(frozen=True)
class Layered:
    """The passes in the layers of a file.

    `scenes`: for each group its passes, and of each pass the best candidates: several where they
    are as good. A file without view layers, cameras or eyes is the only group, ''.
    `ignored`: all others, and why they are not taken where they might have been. Their `name` is
    empty where they are no pass.
    """

    scenes: Mapping[str, Mapping[str, tuple[LayerPass, ...]]]
    ignored: Mapping[LayerPass, str]


def passes_of(
    layers: Sequence[Layer],
    attributes: Mapping[str, Any] | None = None,
    file_says: str | None = None,
) -> Layered:
    """What of a file's layers is color, depth, segmentation, edge and vis.

    A Cryptomatte is preferred to ids and those to colours, a distance to what was normalised.
    `file_says`: the pass that the file's name speaks of ('' for one that is not used), which is
    what a layer is whose own name does not say what it is.
    """
    mattes = _mattes(layers, attributes or {})
    inside = {name for one in mattes for name in one.layers}
    found = [
        *mattes,
        *(p for one in layers if one.name not in inside for p in _single(one, file_says)),
    ]
    found = _of_their_group(found, layers)
    if not found:
        found = _only_picture(layers, file_says)
    found, apart = _merged(found)
    scenes: dict[str, dict[str, tuple[LayerPass, ...]]] = {}
    ignored: dict[LayerPass, str] = dict(apart)
    by_pass = sorted(found, key=lambda p: (p.group, PASSES.index(p.name), p.rank))
    for (group, name), several in groupby(by_pass, key=lambda p: (p.group, p.name)):
        ones = list(several)
        best = tuple(p for p in ones if p.rank == ones[0].rank)
        scenes.setdefault(group, {})[name] = best
        ignored |= dict.fromkeys(ones[len(best) :], f"{best[0].label} is there")
    named = {n for p in (*found, *apart) for n in p.layers}
    ignored |= {LayerPass("", (one.name,)): "" for one in layers if one.name not in named}
    return Layered(scenes, ignored)


def _single(layer: Layer, file_says: str | None) -> Iterable[LayerPass]:
    """What one layer is by its name, and by its channels."""
    group, word, written = _parts(layer)
    name, rank, clear = _named(word, written, file_says)
    if name is None and not clear and layer.channels == ("Z",):
        name, rank = "depth", 2 * _AFTER
    if name and _can_be(layer, name):
        meaning = _MEANINGS.get(word, "")
        if name == "segmentation":
            meaning = "ids" if len(layer.channels) < 3 else "colours"
            rank += 0 if meaning == "ids" else 2 * _AFTER
        yield LayerPass(name, (layer.name,), meaning, group, rank, clear)


def _named(word: str, written: str, file_says: str | None) -> tuple[str | None, int, bool]:
    """The pass of a word, its rank and whether the word is clear."""
    if word in _NONE:
        return None, 0, True
    if not word and file_says is not None:
        return file_says or None, 4 * _AFTER, False
    if known := _NAMES.get(word):
        return *known, bool(word)
    if _MEANINGS.get(word) == "normalised":
        return "depth", 3 * _AFTER, True
    if word.endswith(_ENDS):
        return "depth", _AFTER, True
    name, clear = recognise(written)
    return name or None, _AFTER + (0 if clear else 1), clear


def _can_be(layer: Layer, name: str) -> bool:
    """Whether values of such channels can be the pass."""
    channels = "".join(layer.channels)
    if name in ("color", "vis"):
        return channels.startswith(("RGB", "Y"))
    if name == "depth":
        one = len(layer.channels) == 1 and channels != "A"
        return one or channels.startswith(("RGB", "Y")) or bool({"Z", "V"} & set(layer.channels))
    return channels != "A" and not channels.startswith(("XY", "UV"))


def _parts(layer: Layer) -> tuple[str, str, str]:
    """The group of a layer, its last word as it is compared, and as it was written.

    >>> _parts(Layer("ViewLayer.Object Index", ("X",), "float"))
    ('ViewLayer', 'objectindex', 'Object Index')
    """
    words = [w for w in layer.name.split(".") if w and w != layer.view]
    last = words[-1] if words else ""
    group = ".".join((*words[:-1], *filter(None, (layer.view,))))
    return group, re.sub(r"[^a-z0-9]", "", last.lower()), last


def _mattes(layers: Sequence[Layer], attributes: Mapping[str, Any]) -> list[LayerPass]:
    """Cryptomattes: layers that differ in the number of their rank alone."""
    told = [
        str(value)
        for key, value in attributes.items()
        if key.startswith("cryptomatte/") and key.endswith("/name")
    ]
    ranks: dict[str, list[tuple[int, Layer]]] = defaultdict(list)
    for one in layers:
        found = _RANK.fullmatch(one.name)
        if found is None or len(one.channels) != 4:
            continue
        base, last = found[1], found[1].rpartition(".")[2].lower()
        is_told = any(base == name or base.endswith(f".{name}") for name in told)
        if is_told or "crypto" in last or last == "actorhitproxymask":
            ranks[base].append((int(found[2]), one))
    mattes = []
    for base, ones in ranks.items():
        group, word, _ = _parts(replace(ones[0][1], name=base))
        rank = next(i for i, kind in enumerate(_MATTES) if kind in word and (kind or _plain(word)))
        names = tuple(one.name for _, one in sorted(ones, key=lambda pair: pair[0]))
        mattes.append(LayerPass("segmentation", names, "cryptomatte", group, rank - _AFTER))
    return mattes


def _plain(word: str) -> bool:
    return "material" not in word


def _of_their_group(found: list[LayerPass], layers: Sequence[Layer]) -> list[LayerPass]:
    """`cam1` with R, G and B is the colour of the group of `cam1.Z`."""
    of = {p.group for p in found}
    coloured = {p.group for p in found if p.name == "color"}
    named = {layer for p in found for layer in p.layers}
    whole = [
        LayerPass("color", (one.name,), group=one.name, clear=False)
        for one in layers
        if one.name in of - coloured and one.name not in named and _can_be(one, "color")
    ]
    return found + whole


def _merged(found: list[LayerPass]) -> tuple[list[LayerPass], dict[LayerPass, str]]:
    """Groups are scenes where several have a colour; else they are one. And what is of none.

    The compositor's picture is the colour of the only view layer that there is.
    """
    composed = [p for p in found if p.group == _COMPOSITE and p.name == "color"]
    rest = [p for p in found if p not in composed]
    groups = {p.group for p in rest if p.name == "color"}
    if len(groups) > 1:
        apart = dict.fromkeys(composed, "each view layer is a scene")
        apart |= {p: "it is of no view layer with a colour" for p in rest if p.group not in groups}
        return [p for p in rest if p.group in groups], apart
    best = [replace(p, group="", rank=-1) for p in composed]
    return best + [replace(p, group="") for p in rest], {}


def _only_picture(layers: Sequence[Layer], file_says: str | None) -> list[LayerPass]:
    """A picture that is alone in its file is what the file is called, or else a colour.

    It is none where its own name says so.
    """
    name = "color" if file_says is None else file_says
    ones = [one for one in layers if name and _can_be(one, name)]
    if len(ones) != 1 or recognise(_parts(ones[0])[2])[0] == "" or _parts(ones[0])[1] in _NONE:
        return []
    meaning = "" if name != "segmentation" else "ids" if len(ones[0].channels) < 3 else "colours"
    return [LayerPass(name, (ones[0].name,), meaning, rank=4 * _AFTER, clear=False)]
