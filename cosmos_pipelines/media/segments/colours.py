"""Which flat colour a segment has: a function of its name alone. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Final

import numpy as np

from cosmos_pipelines.media.pixels import Array

BACKGROUND: Final = "background"
_BLACK: Final = frozenset({BACKGROUND, "BACKGROUND", "Background"})
"""Names of what is no segment."""
_DARKEST: Final = 96
"""The least that the brightest channel of a segment's colour has: none is taken for background."""


def is_background(name: str) -> bool:
    """Whether a name stands for no segment: it is black."""
    return name in _BLACK


def code_of(name: str, tries: int = 0) -> int:
    """The colour of a name as 0xRRGGBB; background is black. `tries`: one of its further colours.

    Of 24 bits, since a set of few colours far apart would give two names of a clip one colour, and
    then a name's colour would depend on the names beside it.
    """
    if name in _BLACK:
        return 0
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), salt=tries.to_bytes(8))
    bytes_ = digest.digest()
    for at in range(len(bytes_) - 2):
        if max(bytes_[at : at + 3]) >= _DARKEST:
            return int.from_bytes(bytes_[at : at + 3])
    return 0xFFFFFF  # 62 times in a row below _DARKEST: no name is known


class Colours:
    """The colours of a clip's names: no two names have one, but for background.

    `given`: what colour (0xRRGGBB) a name has by other rules; None: there is none.
    """

    def __init__(self, given: Callable[[str], int | None]) -> None:
        self._given = given
        self._of: dict[str, int] = {}
        self._taken: set[int] = set()

    def code(self, name: str) -> int:
        """The colour of a name, as 0xRRGGBB. Of two that would have one, the first keeps it."""
        if (code := self._of.get(name)) is None:
            code = self._of[name] = next(c for c in self._wishes(name) if self._free(c, name))
            self._taken.add(code)
        return code

    def _wishes(self, name: str) -> Iterator[int]:
        if (given := self._given(name)) is not None:
            yield given
        yield from (code_of(name, tries) for tries in count())

    def _free(self, code: int, name: str) -> bool:
        return code not in self._taken or (code == 0 and name in _BLACK)


def number_code(name: str) -> int | None:
    """The colour of a number as 0xRRGGBB, as `segmentation.id_colours` has it.

    None for other names, and from 2^24 on.
    """
    number = int(name) if name.isascii() and name.isdigit() and len(name) <= 8 else 1 << 24
    if number >= 1 << 24:
        return None
    code = 0
    for bit in range(24):
        if number >> bit & 1:
            code |= 1 << (16 - 8 * (bit % 3) + 7 - bit // 3)
    return code


def painted(ids: Array, codes: Mapping[int, int]) -> Array:
    """(height, width) ids as (height, width, 3) uint8, by their colours 0xRRGGBB."""
    known = np.array(sorted(codes), np.uint32)
    colours = np.array([codes[int(one)] for one in known], ">u4").view(np.uint8).reshape(-1, 4)
    starts, lengths = runs(ids)
    place = np.searchsorted(known, ids.ravel()[starts])
    flat: Array = np.repeat(colours[place, 1:], lengths, axis=0)
    return flat.reshape(*ids.shape, 3)


def counted(ids: Array) -> dict[int, int]:
    """How many pixels have each id."""
    starts, lengths = runs(ids)
    there, which = np.unique(ids.ravel()[starts], return_inverse=True)
    counts = np.bincount(which, lengths).astype(np.int64)
    return dict(zip(there.tolist(), counts.tolist(), strict=True))


def runs(ids: Array) -> tuple[Array, Array]:
    """Where in the flat picture another id begins, and for how many pixels it goes on.

    Segments are flat: there are some hundred times fewer runs than pixels.
    """
    flat = ids.ravel()
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    return starts, np.diff(starts, append=flat.size)
