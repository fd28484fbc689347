"""How light becomes what a display shows: computed where that is quick, else by a table."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import PyOpenColorIO as ocio

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.colour.config import Colours, first_line
from cosmos_pipelines.media.pixels import Array

GRID: Final = 97
"""Points of the table along each of red, green and blue. A computed view of ACES takes 0.3 to 3 s
for 1280x704 pixels, the table 0.02 s; for 99.9 % of usual colours it is off by under one of 255."""
BRIGHTEST: Final = 128.0
"""Light of a channel above this counts as this; 0.18 is a grey card, 9.5 stops below."""
_SLOW: Final = ("FixedFunctionTransform", "GradingRGBCurveTransform", "GradingToneTransform")

_SPAN: Final = 17.52
_OFFSET: Final = 9.72
_BREAK: Final = 0.0078125
"""The curve of ACEScct (Academy S-2016-001): logarithmic, straight near black."""


def shown_by(colours: Colours, space: str, view: str, exposure: float) -> Any:
    """A processor that turns light of a space, brighter by `exposure` stops, into display values.

    Raises:
        MediaError: the config cannot do that.
    """
    try:
        exact = colours.config.getProcessor(_wanted(colours, space, view, exposure))
        steps = exact.getOptimizedProcessor(ocio.OPTIMIZATION_DEFAULT).createGroupTransform()
        computed = exact.getDefaultCPUProcessor()
    except ocio.Exception as e:
        raise MediaError(
            f"The OpenColorIO config {colours.name} cannot show {space} by {view!r}: "
            f"{first_line(e)}."
        ) from None
    slow = any(type(step).__name__ in _SLOW for step in steps)
    return _baked(computed) if slow else computed


def _wanted(colours: Colours, space: str, view: str, exposure: float) -> Any:
    wanted = ocio.GroupTransform()
    linear = colours.config.getColorSpace("scene_linear")
    if exposure and linear is not None:
        wanted.appendTransform(ocio.ColorSpaceTransform(src=space, dst=linear.getName()))
        factor = 2.0**exposure
        wanted.appendTransform(
            ocio.MatrixTransform(matrix=np.diag([factor] * 3 + [1]).ravel().tolist())
        )
        space = linear.getName()
    wanted.appendTransform(
        ocio.DisplayViewTransform(src=space, display=colours.display(), view=view)
    )
    return wanted


def _baked(computed: Any) -> Any:
    """The same by a table over light from 0 to `BRIGHTEST`, interpolated in tetrahedra."""
    config = ocio.Config.CreateRaw()
    # its cache takes two tables of one size for the same
    config.setProcessorCacheFlags(ocio.PROCESSOR_CACHE_OFF)
    to_curve = config.getProcessor(_curve()).getDefaultCPUProcessor()
    back = _curve()
    back.setDirection(ocio.TRANSFORM_DIR_INVERSE)
    to_light = config.getProcessor(back).getDefaultCPUProcessor()
    ends = np.array([[0.0] * 3, [BRIGHTEST] * 3], np.float32)
    to_curve.applyRGB(ends)
    low, high = float(ends[0, 0]), float(ends[1, 0])
    points = np.linspace(low, high, GRID, dtype=np.float32)
    grid = np.stack(np.meshgrid(points, points, points, indexing="ij"), -1).reshape(-1, 3)
    grid = np.ascontiguousarray(grid)
    to_light.applyRGB(grid)
    computed.applyRGB(grid)
    table = ocio.Lut3DTransform(gridSize=GRID, interpolation=ocio.INTERP_TETRAHEDRAL)
    table.setData(grid.ravel())
    whole = _curve()
    scale = 1 / (high - low)
    whole.appendTransform(
        ocio.MatrixTransform(
            matrix=np.diag([scale] * 3 + [1]).ravel().tolist(), offset=[-low * scale] * 3 + [0]
        )
    )
    whole.appendTransform(table)
    return config.getProcessor(whole).getDefaultCPUProcessor()


def _curve() -> Any:
    curve = ocio.GroupTransform()
    curve.appendTransform(
        ocio.LogCameraTransform(
            base=2,
            logSideSlope=[1 / _SPAN] * 3,
            logSideOffset=[_OFFSET / _SPAN] * 3,
            linSideBreak=[_BREAK] * 3,
        )
    )
    return curve


def to_eight_bits(processor: Any, light: Array) -> Array:
    """(height, width, 3) float32, finite, as uint8; the array given is changed."""
    processor.applyRGB(light)
    np.multiply(light, 255, out=light)
    np.rint(light, out=light)
    return np.clip(light, 0, 255, out=light).astype(np.uint8)
