"""Arithmetic on pixels that pictures and videos share. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def over_black(pixels: Array) -> Array:
    """(height, width, channels and alpha), laid over black: without alpha, of the same type."""
    if pixels.dtype not in (np.uint8, np.uint16):
        whole = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
        laid = pixels[..., :-1] * (pixels[..., -1:].astype(np.float64) / whole)
        return laid.astype(pixels.dtype)
    full = np.uint32(np.iinfo(pixels.dtype).max)
    alpha = pixels[..., -1:]
    if (alpha == full).all():
        return pixels[..., :-1]
    product = pixels[..., :-1].astype(np.uint32) * alpha
    return ((product + full // 2) // full).astype(pixels.dtype)
