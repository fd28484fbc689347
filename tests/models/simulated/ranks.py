"""Processes of one torchrun that go together, as the real ones do in their collectives."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType

WAIT_S = 1800  # NCCL's heartbeat timeout

_joined: list[int] = []


def rank() -> int:
    """Which of the processes this is."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def joined_rank() -> int:
    """Which of the processes this is, as PyTorch knows it: 0 before the process group exists."""
    return _joined[0] if _joined else 0


def join() -> None:
    """Make the process group: from now on this process knows its rank; its tracebacks tell it."""
    _joined[:] = [rank()]
    sys.excepthook = _excepthook


def _excepthook(kind: type[BaseException], e: BaseException, at: TracebackType | None) -> None:
    """See `_distributed_excepthook` of torch/distributed/distributed_c10d.py."""
    lines = "".join(traceback.format_exception(kind, e, at)).split("\n")
    sys.stderr.write("\n".join(f"[rank{rank()}]: {line}" if line else "" for line in lines))


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
