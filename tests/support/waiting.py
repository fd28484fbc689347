"""Waiting for a state, however long a busy machine takes; what never comes fails with its name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

LONG_S: Final = 120.0
"""For what takes milliseconds on an idle machine."""


def until(condition: Callable[[], T], what: str, within_s: float = LONG_S) -> T:
    """What `condition()` gives once it is true.

    Raises:
        TimeoutError: it did not become true; says what was waited for, and what it gave at last.
    """
    end = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {within_s:g} s, but {found!r}")
        time.sleep(0.02)
    return found
