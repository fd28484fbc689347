"""Which pass a file is, by the words of its name. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PASSES: Final = ("color", "depth", "segmentation", "edge", "vis")

_CLEAR: Final[Mapping[str, str]] = {
    word: name
    for name, words in {
        "color": "color colour beauty",
        "depth": "depth zdepth zbuffer depthmap distance",
        "segmentation": "segmentation seg segment segments segm semantic semantics semseg instance"
        " instances objectid indexob matid materialid idmask idmap",
        "edge": "edge edges canny lineart",
        "vis": "vis blur",
        "": "normal normals albedo diffuse diff diffcol specular spec gloss glossy ao occlusion"
        " motion motionvector vector vectors flow uv shadow shadows emission emit position crypto"
        " cryptomatte denoising",
    }.items()
    for word in words.split()
}
"""Words that say which pass a file is; '' for passes that are not used."""

_WEAK: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ["rgb", "rgba", "image", "img", "render", "rendered", "combined", "final"], "color"
    ),
    **dict.fromkeys(["z", "dist"], "depth"),
    **dict.fromkeys(["id", "ids", "mask", "masks", "label", "labels"], "segmentation"),
}
"""Words that count only where no clear one does."""


def recognise(words: str) -> tuple[str | None, bool]:
    """The pass that a name speaks of, and whether it does so clearly.

    >>> recognise("shot_v2_beauty"), recognise("diffuse_color"), recognise("Image")
    (('color', True), ('', True), ('color', False))
    """
    tokens = _tokens(words)
    for table, clear in ((_CLEAR, True), (_WEAK, False)):
        for i in range(len(tokens) - 1, -1, -1):
            if tokens[i] in table:
                other = i > 0 and _CLEAR.get(tokens[i - 1]) == ""  # `diffuse_color` is not color
                return ("" if other else table[tokens[i]]), clear
    return None, False


def is_pass_word(word: str) -> bool:
    """Whether a word, in small letters, tells of a pass: one that is used or one that is not."""
    return word in _CLEAR or word in _WEAK


def parts_of(letters: str) -> list[str]:
    """Words written as one: `ZDepth` is one of ours, `FinalImage` are two."""
    if is_pass_word(letters.lower()):
        return [letters]
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", letters)


def _tokens(words: str) -> list[str]:
    return [p.lower() for letters in re.split(r"[^A-Za-z]+", words) for p in parts_of(letters)]
