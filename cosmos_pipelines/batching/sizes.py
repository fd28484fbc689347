"""How many runs a load may have. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

FIRST: Final = {1: 8, 2: 4}
MANY_CONTROLS: Final = 2
"""Runs of a load with three and more controls, until a larger one was measured."""
SAME: Final = 1.03
"""Peaks of memory up to this ratio count as equal: they differ a little from load to load."""


def runs_in_a_load(controls: int, allowed: int, measured: Iterable[tuple[int, float]] = ()) -> int:
    """Return the most runs of a load with this many controls; `allowed`: what the engine allows.

    It begins with 8, 4 or 2 runs for 1, 2 or more controls, and doubles for as long as a load with
    so many runs was completed that took no more memory than the smallest one. `measured`: runs and
    peak of memory (any unit) of loads of the same kind on the same kind of GPU.
    """
    if controls < 1:
        return max(1, allowed)
    most, found = FIRST.get(controls, MANY_CONTROLS), sorted(measured)
    fitted = max((runs for runs, peak in found if peak <= SAME * found[0][1]), default=0)
    while most <= fitted and most < allowed:
        most *= 2
    return max(1, min(most, allowed))
