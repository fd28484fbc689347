"""Write the run's log on standard output: the model's bytes, and lines of this program between.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import os
import sys
import time

PATIENCE_S = 1.0
"""Seconds that a line of this program waits for the end of a line of the model."""
PACE_S = 0.5
"""Seconds between two lines of progress."""


class Log:
    """Writes lines at once, or as soon as the model has ended its line."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._fd = sys.stdout.fileno()
        self._last = b"\n"
        self._waiting: list[str] = []
        self._since = 0.0
        self._alone = True

    def pass_on(self, data: bytes) -> None:
        """Write the model's bytes, unchanged."""
        if data:
            self._alone = False
            self._write(data)
            self.flush()

    def model_ended(self) -> None:
        """Note that the model writes no more, not even the end of its last line."""
        self._alone = True
        self.flush()

    def say(self, line: str) -> None:
        """Write a line of this program."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(line)
        self.flush()

    def flush(self) -> None:
        """Write the waiting lines if the model is between two lines, or too long in one line."""
        late = time.monotonic() - self._since > PATIENCE_S
        if self._waiting and (self._alone or late or self._last in b"\r\n"):
            start = "" if self._last == b"\n" else "\n"
            text = start + "".join(f"{line}\n" for line in self._waiting)
            self._waiting = []
            self._write(text.encode("utf-8", "replace"))

    def _write(self, data: bytes) -> None:
        self._last = data[-1:]
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:  # the disk is full: the log has a gap, the work goes on
            self._last = b""


class ProgressLines:
    """Prints the current sample's progress, at most twice a second, and always its last line."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: str | None = None
        self._printed: str | None = None
        self._at = -PACE_S

    def tell(self, line: str) -> None:
        """Print `line` now, or later; never if a newer line comes first."""
        self._waiting = line if line != self._printed else None
        self.tick()

    def tick(self) -> None:
        """Print the waiting line if it is time."""
        if self._waiting is not None and time.monotonic() - self._at >= PACE_S:
            self.settle()

    def settle(self) -> None:
        """Print the waiting line now, before another line."""
        if self._waiting is not None:
            self._log.say(self._waiting)
            self._printed, self._waiting, self._at = self._waiting, None, time.monotonic()


def one_line(text: str, most: int = 300) -> str:
    """Return `text` without line breaks and control characters, cut to `most` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"
