"""Colours that edges have mixed become one of the colours beside them again. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from cosmos_pipelines.media.pixels import Array

_FARTHEST: Final = 3
"""Pixels from a mixed colour to the colours that it may be mixed of."""
_NEAR: Final = 12
"""Steps of a channel by which a codec may have changed a colour of the legend."""
_AN_AREA: Final = 16
_AN_AREA_SHARE: Final = 0.0005
"""Pixels inside of an area of one colour, at least, and as a share of the picture."""
_MOST_OTHERS: Final = 64
_AT_ONCE: Final = 1 << 16
"""Pixels that are compared at once, which keeps memory small."""


def places_in(picture: Array, legend: Array) -> tuple[Array, int]:
    """For each pixel the place of its colour in `legend`, and how many were not one of them.

    A colour that is not in the legend becomes the nearest of those legend colours that pixels near
    it have: within one pixel, else two, else three, else the nearest of the whole legend. So the
    mixture of two segments never becomes a third that happens to look like it but is not there.

    `picture`: (height, width, channels) uint8; `legend`: (n, channels) uint8, all different.
    """
    exact = _exact(picture, legend)
    rows, columns = np.nonzero(exact < 0)
    result = exact.copy()
    for start in range(0, rows.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        result[rows[part], columns[part]] = _nearest(
            exact, picture, legend, rows[part], columns[part]
        )
    return result, int(rows.size)


def flat_others(picture: Array, legend: Array) -> Array:
    """Colours that fill areas and are far from all of the legend: no edge has mixed them.

    (n, channels) uint8, the most frequent first. `picture` and `legend`: as `places_in`.
    """
    codes, unknown = _codes(picture), _exact(picture, legend) < 0
    flat = unknown[1:-1, 1:-1]
    for beside in (codes[:-2, 1:-1], codes[2:, 1:-1], codes[1:-1, :-2], codes[1:-1, 2:]):
        flat = flat & (beside == codes[1:-1, 1:-1])
    _, first, counts = np.unique(codes[1:-1, 1:-1][flat], return_index=True, return_counts=True)
    colours = picture[1:-1, 1:-1][flat][first]
    apart = np.abs(colours[:, None].astype(np.int32) - legend.astype(np.int32)).max(2).min(1)
    wanted = (apart > _NEAR) & (counts >= max(_AN_AREA, codes.size * _AN_AREA_SHARE))
    order = np.argsort(-counts[wanted], kind="stable")[:_MOST_OTHERS]
    others: Array = colours[wanted][order]
    return others


def _exact(picture: Array, legend: Array) -> Array:
    """(height, width) int32: the place in the legend; -1 of other colours."""
    wanted = _codes(legend)
    order = np.argsort(wanted)
    codes = _codes(picture)
    at = np.minimum(np.searchsorted(wanted[order], codes), wanted.size - 1)
    found: Array = np.where(wanted[order][at] == codes, order[at], -1).astype(np.int32)
    return found


def _codes(pixels: Array) -> Array:
    code = np.zeros(pixels.shape[:-1], np.uint32)
    for channel in range(pixels.shape[-1]):
        code = code << np.uint32(8) | pixels[..., channel]
    return code


def _nearest(exact: Array, picture: Array, legend: Array, rows: Array, columns: Array) -> Array:
    """The places in the legend of the pixels at `rows`, `columns`, whose colours are not in it."""
    found = np.full(rows.size, -1, np.int32)
    own = picture[rows, columns].astype(np.int32)
    colours = legend.astype(np.int32)
    for reach in range(1, _FARTHEST + 1):
        left = np.flatnonzero(found < 0)
        if not left.size:
            return found
        best = np.full(left.size, np.iinfo(np.int32).max)
        for down in range(-reach, reach + 1):
            for right in range(-reach, reach + 1):
                y = np.clip(rows[left] + down, 0, exact.shape[0] - 1)
                x = np.clip(columns[left] + right, 0, exact.shape[1] - 1)
                place = exact[y, x]
                apart = ((colours[place] - own[left]) ** 2).sum(1)
                nearer = (place >= 0) & (apart < best)
                best[nearer] = apart[nearer]
                found[left[nearer]] = place[nearer]
    for i in np.flatnonzero(found < 0):
        found[i] = ((colours - own[i]) ** 2).sum(1).argmin()
    return found
