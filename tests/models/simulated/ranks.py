"""Processes of one torchrun that go together, as the real ones do in their collectives."""

from __future__ import annotations

import os
import time
from pathlib import Path

WAIT_S = 1800  # NCCL's heartbeat timeout


def rank() -> int:
    """Which of the processes this is."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def together(place: str) -> None:
    """All but rank 0 wait here until rank 0 is here; `place` is a new word each time."""
    errors = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if world() == 1 or errors is None:
        return
    mark = Path(errors).parents[1] / f"arrived_{place}"
    if rank() == 0:
        mark.touch()
    until = time.monotonic() + WAIT_S
    while not mark.exists():
        if time.monotonic() > until:
            raise RuntimeError("Watchdog caught collective operation timeout")
        time.sleep(0.02)
