"""The progress of a transfer: bytes, rate and the time that is left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

EVERY_S: Final = 0.2
"""Seconds between two reports."""

WINDOW_S: Final = 5.0
"""Seconds over which the rate is measured."""


@dataclass(frozen=True)
class TransferProgress:
    """The progress of a transfer at one moment, in bytes."""

    done: int
    total: int
    rate: float | None
    """Bytes a second; None before the first byte."""

    @property
    def left_s(self) -> float | None:
        """Seconds until the end at this rate."""
        return (self.total - self.done) / self.rate if self.rate else None

    def __str__(self) -> str:
        """`12.5 of 512.0 MiB, 98.3 MiB/s, 5 s left`."""
        words = [f"{self.done / 2**20:.1f} of {self.total / 2**20:.1f} MiB"]
        if self.rate:
            words += [f"{self.rate / 2**20:.1f} MiB/s", f"{_span(self.left_s or 0)} left"]
        return ", ".join(words)


Report = Callable[[TransferProgress], None]
Arrived = Callable[[int], None]
"""Gets the bytes of all files that their receiver has, or will not ask for again."""


class Meter:
    """Counts bytes; reports every `EVERY_S` seconds and at the end."""

    def __init__(
        self,
        total: int,
        report: Report | None,
        clock: Callable[[], float] = time.monotonic,
        arrived: Arrived | None = None,
    ) -> None:
        self.total, self.done = total, 0
        self._arrived, self._received = arrived, 0
        self._report, self._clock = report, clock
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])
        self._moved = 0

    def skip(self, count: int) -> None:
        """Count bytes that an earlier transfer has moved; negative: bytes that must come again."""
        self.done += count

    def add(self, count: int) -> None:
        """Count bytes that have been moved."""
        self.done += count
        self._moved += count
        now = self._clock()
        if now - self._samples[-1][0] >= EVERY_S or self.done >= self.total:
            self._samples.append((now, self._moved))
            while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW_S:
                self._samples.popleft()
            if self._report:
                self._report(TransferProgress(self.done, self.total, self._rate()))

    def arrive(self, count: int) -> None:
        """Count bytes that the receiver has; bytes on the way may still be lost."""
        self._received += count
        if self._arrived:
            self._arrived(self._received)

    def _rate(self) -> float | None:
        (then, before), (now, moved) = self._samples[0], self._samples[-1]
        return (moved - before) / (now - then) if now > then and moved > before else None


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
