"""Start an order as soon as its place has room for it: free GPUs on a host, a free slot here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from cosmos_pipelines.backends.base import Backend, Handle
from cosmos_pipelines.errors import GpusBusy
from cosmos_pipelines.operations.base import Order

ASK_S: Final = 0.5
"""Seconds between two looks; after a minute of waiting more, up to `SLOW_S`: a look costs a host
about 0.1 s of its CPU."""
SLOW_S: Final = 1.5


def launch_when_free(
    backend: Backend,
    order: Order,
    told: Callable[[str], None],
    before_look: Callable[[], None] = lambda: None,
    before_start: Callable[[], None] | None = None,
) -> Handle:
    """Launch an order; where others use the GPUs, wait until they do not.

    Args:
        told: called with a sentence, once, and again when others use the GPUs.
        before_look: called before each look; what it raises ends the waiting.
        before_start: see `Backend.launch`.

    Raises: what `Backend.launch` raises, but no GpusBusy.
    """
    users: tuple[str, ...] | None = None
    since = time.monotonic()
    while True:
        before_look()
        try:
            return backend.launch(order, before_start)
        except GpusBusy as e:
            if e.users != users:
                told(e.message)
            users = e.users
        time.sleep(min(SLOW_S, max(ASK_S, (time.monotonic() - since) / 120)))
