"""Cryptomatte: which object covers most of each pixel.

After the Cryptomatte specification 1.2.0 (Psyop, github.com/Psyop/Cryptomatte): layers NAME00,
NAME01, ... hold pairs of an id and the share of the pixel that it covers, in red and green and in
blue and alpha. Ids are 32 bits that stand where a float has its own, so they are compared as bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from cosmos_pipelines.errors import MediaError, named, shown
from cosmos_pipelines.media.asked import Segments
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer, PictureFacts
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer
from cosmos_pipelines.media.sequence import Pass

_KEY: Final = re.compile(r"cryptomatte/([^/]{1,64})/(name|conversion|manifest|manif_file)")
_UNTOLD: Final = re.compile(r"(?i)(.*crypto.*?)\d\d")
"""Layers that are a cryptomatte's by their name alone."""
_WORDS: Final[Mapping[Segments, str]] = {
    "objects": "object", "materials": "material", "assets": "asset"
}  # fmt: skip


@dataclass(frozen=True)
class Cryptomatte:
    """One of the cryptomattes of a file: `layers` are its ranks in order.

    `manifest`: JSON in the file; `manif_file`: the JSON file beside it that it names.
    """

    name: str
    layers: tuple[Layer, ...]
    conversion: str = ""
    manifest: str = ""
    manif_file: str = ""


def cryptomattes_of(facts: PictureFacts) -> list[Cryptomatte]:
    """The cryptomattes in a file, as its attributes name them; else by the layers' names."""
    told: dict[str, dict[str, str]] = {}
    for key, value in facts.attributes.items():
        if found := _KEY.fullmatch(key):
            told.setdefault(found[1], {})[found[2]] = str(value)
    if not told:
        bases = [found[1] for one in facts.layers if (found := _UNTOLD.fullmatch(one.name))]
        told = {base: {"name": base} for base in bases}
    mattes = [
        Cryptomatte(**one, layers=_ranks(facts.layers, one["name"]))
        for one in told.values()
        if one.get("name")
    ]
    return [one for one in mattes if one.layers]


def chosen(facts: PictureFacts, found: Pass, asked: Segments | None) -> Cryptomatte:
    """The cryptomatte of what is asked for: objects, materials or assets; else the one found.

    One that says neither in its name is taken for objects where there is nothing else. Those of the
    view layer or eye that was found are looked at first.

    Raises:
        MediaError: there is none.
    """
    there = cryptomattes_of(facts)
    same = [m for m in there if any(one.name in found.layers for one in m.layers)]
    if asked is None and same:
        return same[0]
    groups = [m.name.rpartition(".")[0] for m in same]
    there = sorted(there, key=lambda m: m.name.rpartition(".")[0] not in groups)
    word = _WORDS[asked or "objects"]
    for one in there:
        if word in one.name.lower():
            return one
    plain = [m for m in there if not any(w in m.name.lower() for w in _WORDS.values())]
    if plain and asked in (None, "objects"):
        return plain[0]
    if not there and (layers := [one for one in facts.layers if one.name in found.layers]):
        return Cryptomatte(layers[0].name.rstrip("0123456789"), tuple(layers))
    has = ", ".join(named(m.name) for m in there[:8])
    raise MediaError(
        f"{facts.path} has no cryptomatte of {asked or 'objects'}"
        + (f"; it has {has}." if has else "."),
        hint="Leave `--segments` out, or render that cryptomatte too." if has else None,
    )


def check_exact(facts: PictureFacts, matte: Cryptomatte) -> None:
    """Refuse what cannot hold 32-bit ids.

    Raises:
        MediaError: half floats, a compression that loses bits, or ids of another kind.
    """
    path = facts.path
    hint = "Render the Cryptomatte as 32-bit float, with ZIP (or another lossless) compression."
    if matte.conversion not in ("", "uint32_to_float32"):
        raise MediaError(
            f"{path}: the ids of {matte.name} are {shown(matte.conversion)}, which is not known "
            "(uint32_to_float32 is)."
        )
    for layer in matte.layers:
        if layer.kind not in ("float", "float32"):
            raise MediaError(
                f"{path}: {layer.name} is {layer.kind}, so its ids have lost bits.", hint=hint
            )
        if facts.compressions[layer.part : layer.part + 1] in _LOSSY:
            raise MediaError(
                f"{path}: {layer.name} is compressed by {facts.compressions[layer.part]}, which "
                "loses bits of its ids.",
                hint=hint,
            )


_LOSSY: Final = (("pxr24",), ("dwaa",), ("dwab",))
"""Compressions of OpenEXR that change 32-bit floats; B44 changes half floats alone."""


def winners(ids: Array, coverage: Array) -> Array:
    """The id that covers most of each pixel; 0 is background.

    Background covers what no id does, and wins where that is more than any one id covers. Of ids
    that cover as much, the one of the lower rank wins.

    `ids`: (height, width, ranks) uint32; `coverage`: the same of float32. Ranks need not be in the
    order of coverage; together they cover a pixel once at most.
    """
    best: Array = ids[..., 0].copy()
    best[np.isnan(coverage[..., 0])] = 0
    open_ = ~(coverage[..., 0] >= 0.5)  # where the first id is not as large as all else
    some = ids[open_]
    shares = np.where(some == 0, np.float32(0), np.nan_to_num(coverage[open_], nan=0.0))
    first = shares.argmax(axis=1)[:, None]
    most = np.take_along_axis(shares, first, 1)[:, 0]
    won = np.take_along_axis(some, first, 1)[:, 0]
    best[open_] = np.where((most > 0) & (most >= 1 - shares.sum(axis=1)), won, 0)
    return best


def read_winners(path: Path, matte: Cryptomatte, values_of: ReadLayer = read_layer) -> Array:
    """As `winners`, (height, width) uint32, of a file's pixels.

    Raises:
        MediaError: the file is damaged.
    """
    ids, coverage = [], []
    for layer in by_part(matte):
        values = np.ascontiguousarray(values_of(path, layer), np.float32)
        ids.append(values.view(np.uint32)[..., ::2])
        coverage.append(values[..., 1::2])
    if len(ids) == 1:
        return winners(ids[0], coverage[0])
    return winners(np.concatenate(ids, axis=2), np.concatenate(coverage, axis=2))


def by_part(matte: Cryptomatte) -> list[Layer]:
    """The layers of one part as one, so that its pixels are decoded once."""
    parts: dict[int, Layer] = {}
    for one in matte.layers:
        before = parts.get(one.part)
        parts[one.part] = (
            one
            if before is None
            else replace(
                before, channels=before.channels + one.channels, places=before.places + one.places
            )
        )
    return list(parts.values())


def _ranks(layers: Iterable[Layer], name: str) -> tuple[Layer, ...]:
    """The layers NAME00, NAME01, ... in the order of their numbers, whatever stands before."""
    rank = re.compile(rf"(?:.*\.)?{re.escape(name)}(\d+)")
    found: dict[int, Layer] = {}
    for layer in layers:
        number = rank.fullmatch(layer.name)
        if number and "".join(c[:1].upper() for c in layer.channels) == "RGBA":
            found.setdefault(int(number[1]), layer)
    return tuple(layer for _, layer in sorted(found.items()))
