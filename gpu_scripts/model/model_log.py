"""Write the run's log on standard output: the model's bytes, and lines of this program between.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import os
import re
import sys
import time

PATIENCE_S = 1.0
"""Seconds that a line of this program waits for the end of a line of the model."""
PACE_S = 0.5
"""Seconds between two lines of progress."""
DEBUG = re.compile(rb"\[[\d: -]+\|(?:job=[^|]*\|)?DEBUG\|")
"""The head of a line for developers: loguru's format in all of NVIDIA's repositories."""
HEAD = 64
"""Bytes of a line by which its level is known."""
INSIDE = (b"    ", b"}")
"""Beginnings of further lines of such a line: it prints JSON with an indent of 4."""


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


class WithoutDebug:
    """Leaves the lines for developers out of the model's bytes; all other bytes stay as they are.

    Transfer2.5 prints thousands of them if it shows all its modules (attention/flash3/checks.py:75
    at each call of attention), and writes them to its own debug.log in any case.
    """

    def __init__(self) -> None:
        self._held = b""
        self._fresh = True
        """Whether the next byte begins a line."""
        self._dropping = self._dropped = False
        """Whether the current line, or the line before it, is left out."""

    def cut(self, data: bytes) -> bytes:
        """Return these bytes without such lines; a beginning of a line may be held until later."""
        data, self._held, kept = self._held + data, b"", []
        while data:
            if self._fresh:
                known = len(data) >= HEAD or b"\n" in data
                if not known and (data[:1] == b"[" or self._dropped):
                    self._held = data
                    break
                inside = self._dropped and data.startswith(INSIDE)
                self._dropping = self._dropped = inside or bool(DEBUG.match(data))
            line, end, data = data.partition(b"\n")
            if not self._dropping:
                kept.append(line + end)
            self._fresh = bool(end)
        return b"".join(kept)

    def rest(self) -> bytes:
        """Return the beginning of a line that was held, at the end of all bytes."""
        return self._held


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
