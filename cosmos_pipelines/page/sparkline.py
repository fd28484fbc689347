"""The short history of a GPU as points of an SVG's lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

WIDTH: Final = 160
HEIGHT: Final = 32
SPAN_S: Final = 600.0
"""Seconds that the width stands for; the newest value is at the right."""
HOTTEST_C: Final = 100
LINES: Final = (("load", "Load", "%"), ("memory", "Memory", "%"), ("temperature", "°C", "°C"))


def lines_of(gpu: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the lines of a GPU's `history` (see `CosmosAPI.watch_hosts`).

    Each has: name, points (of an SVG of WIDTH x HEIGHT), said (from the least to the most).
    """
    history = gpu["history"]
    columns = {
        "load": ([sample[1] for sample in history], 100),
        "memory": ([sample[2] for sample in history], gpu["memory_total_mib"] or 0),
        "temperature": ([sample[3] for sample in history], HOTTEST_C),
    }
    times = [sample[0] for sample in history]
    made = []
    for name, label, unit in LINES:
        values, most = columns[name]
        known = [value for value in values if value is not None]
        if known and most:
            share = 100 / most if name == "memory" else 1
            said = f"{label} {round(min(known) * share)} to {round(max(known) * share)} {unit}"
            made.append({"name": name, "points": _points(times, values, most), "said": said})
    return made


def _points(times: Sequence[float], values: Sequence[float | None], most: float) -> str:
    words = []
    for at, value in zip(times, values, strict=True):
        if value is not None:
            x = WIDTH * max(0.0, 1 - (times[-1] - at) / SPAN_S)
            y = 1 + (HEIGHT - 2) * (1 - min(1.0, value / most))
            words.append(f"{x:.1f},{y:.1f}")
    return " ".join(words)
