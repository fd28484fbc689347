"""Wait until something in a directory changes, as soon as it does.

Linux tells at once (inotify), except what another machine writes on a network disk. So a wait is
short, and whoever waits looks for itself afterwards.
"""

from __future__ import annotations

import ctypes
import os
import select
import time
from pathlib import Path
from typing import Final, Self

LONGEST_S: Final = 0.1
"""Seconds that a wait takes where nothing is told."""
BLIND_S: Final = 0.02
"""The same where nothing can be told: no inotify, or no directory yet."""
PAUSE_S: Final = 0.005
"""Seconds between the ends of two waits, so that a busy writer does not keep the reader busy."""

_MODIFY, _MOVED_TO, _CREATE = 0x2, 0x80, 0x100
_FLAGS: Final = os.O_CLOEXEC | os.O_NONBLOCK


class Changes:
    """Tells of changes in a directory; a context manager. The directory may not be there yet."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._told: int | None = None
        self._ended_at = 0.0

    def __enter__(self) -> Self:
        self._watch()
        return self

    def __exit__(self, *_: object) -> None:
        if self._told is not None:
            os.close(self._told)

    def wait(self, timeout_s: float = LONGEST_S) -> None:
        """Return when something has changed since the last wait, or after a short time."""
        time.sleep(max(0.0, self._ended_at + PAUSE_S - time.monotonic()))
        if self._told is None:
            time.sleep(min(timeout_s, BLIND_S))
            self._watch()
        else:
            poll = select.poll()
            poll.register(self._told, select.POLLIN)
            if poll.poll(min(timeout_s, LONGEST_S) * 1000):
                os.read(self._told, 1 << 16)
        self._ended_at = time.monotonic()

    def _watch(self) -> None:
        """Ask to be told of changes, where that is possible; later waits are blind otherwise."""
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "inotify_init1"):
            return
        told = libc.inotify_init1(_FLAGS)
        if told < 0:  # too many are open already
            return
        what = _MODIFY | _MOVED_TO | _CREATE
        if libc.inotify_add_watch(told, os.fsencode(self._directory), what) < 0:
            os.close(told)
            return
        self._told = told
