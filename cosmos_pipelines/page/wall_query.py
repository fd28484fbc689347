"""What the address of the wall says: filters, order, view. The address is its whole state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args
from urllib.parse import urlencode

from cosmos_pipelines.api.finding import FILTERS

Across = Literal["recipe", "seed"]
PATH: Final = "/cosmos/"
NEWEST: Final = "newest"
HIDDEN: Final = ("words", "prompt", "of")
"""Filters without a field of their own in the bar: `words` has one above, two are links."""


@dataclass(frozen=True)
class WallQuery:
    """The state of the wall."""

    filters: dict[str, list[str]]
    """Each set filter with its values as they were written."""
    sort: str = NEWEST
    view: str = ""
    across: Across = "recipe"
    first: int = 0

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> WallQuery:
        """Read the pairs of a query string; names that the wall does not know are left out."""
        filters: dict[str, list[str]] = {}
        others: dict[str, str] = {}
        for name, written in pairs:
            value = written.strip()
            if name not in FILTERS:
                others[name] = value
            elif value and not FILTERS[name]["several"]:
                filters[name] = [value]
            elif value and value not in filters.setdefault(name, []):
                filters[name].append(value)
        across: Across = "seed" if others.get("across") == "seed" else get_args(Across)[0]
        first = others.get("first", "")
        return cls(
            {name: values for name, values in filters.items() if values},
            others.get("sort") or NEWEST,
            "grid" if others.get("view") == "grid" else "",
            across,
            int(first) if first.isascii() and first.isdigit() and len(first) < 8 else 0,
        )

    def arguments(self) -> dict[str, Any]:
        """The filters as the methods of the API take them."""
        return {
            name: values if FILTERS[name]["several"] else values[0]
            for name, values in self.filters.items()
        }

    def url(self, **changes: Any) -> str:
        """The address of this wall with other values: of `filters`, `sort`, `view`, ..."""
        filters = changes.get("filters", self.filters)
        pairs = [(name, value) for name, values in filters.items() for value in values]
        others = {"sort": NEWEST, "view": "", "across": "recipe", "first": 0}
        for name, usual in others.items():
            value = changes.get(name, getattr(self, name))
            if value != usual:
                pairs.append((name, str(value)))
        return PATH + (f"?{urlencode(pairs)}" if pairs else "")

    def without(self, name: str, value: str | None = None) -> dict[str, list[str]]:
        """The filters without this one, or without one value of it."""
        left = {n: [v for v in vs if n != name or v != value] for n, vs in self.filters.items()}
        if value is None:
            left.pop(name, None)
        return {n: vs for n, vs in left.items() if vs}

    def chips(self) -> list[dict[str, str]]:
        """What is set, in words, each with the address of the wall without it."""
        return [
            {
                "name": name,
                "value": value,
                "what": str(FILTERS[name]["what"]),
                "url": self.url(filters=self.without(name, value), first=0),
            }
            for name, values in self.filters.items()
            for value in values
        ]
