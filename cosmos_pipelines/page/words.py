"""How the page writes numbers, times and sizes: the filters of its templates. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

from cosmos_pipelines.lines import percent


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def ago(moment: str | None, now: datetime | None = None) -> str:
    """A time of the catalog (ISO 8601) as `12 s ago`, `3 h ago`, or its date after a week."""
    if not moment:
        return ""
    then = datetime.fromisoformat(moment)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    for unit, most, size in (("s", 60, 1), ("min", 3600, 60), ("h", 86400, 3600)):
        if seconds < most:
            return f"{max(0, int(seconds // size))} {unit} ago"
    days = int(seconds // 86400)
    return f"{days} d ago" if days < 7 else then.date().isoformat()


def size(count: float | None) -> str:
    """Bytes as `812 B`, `3.4 kB`, `12.0 MB`, `1.2 GB`; nothing for None."""
    if count is None:
        return ""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def rate(value: str | None) -> str:
    """An exact rate as people say it: `24`, `29.97`."""
    return "" if value is None else f"{float(Fraction(value)):.6g}"


def money(amount: float, currency: str) -> str:
    """`12.30 USD`."""
    return f"{amount:.2f} {currency}"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "duration": duration,
    "ago": ago,
    "size": size,
    "rate": rate,
    "money": money,
    "percent": percent,
}
