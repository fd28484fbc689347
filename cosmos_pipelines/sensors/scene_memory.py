"""What the sensor `new_scenes` remembers of directories, from tick to tick: its cursor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, Self

A_TICK: Final = 20
"""Scenes taken a tick at most; each request costs Dagster 0.15 s."""

State = Literal["settling", "waiting", "taken", "bad"]
"""`waiting`: nothing comes any more, and it is not whole."""


@dataclass
class Seen:
    """What is remembered of a directory between looks. Times in seconds since 1970."""

    look: str
    since: float
    """When it was first seen as it is now."""
    state: State = "settling"
    said: str = ""
    """Why it is bad or waits."""
    tried: bool = False
    """Nothing about it says by itself that it is whole; only time will tell."""
    before: float = 0
    """When the newest file was written of what was taken last; 0: nothing was taken yet."""
    gap: float = 0
    """The longest time between two of its frames, of what was taken last."""


@dataclass
class Memory:
    """What is remembered between looks, and what a tick has found so far."""

    seen: dict[str, Seen] = field(default_factory=dict)
    cursor: str | None = None
    """As which Dagster keeps what is in `seen`; None: it has changed since."""
    requested: dict[str, Seen] = field(default_factory=dict)
    """Scenes that need a Dagster run."""
    registered: list[str] = field(default_factory=list)
    """Scenes that were registered in the tick itself."""
    last: ClassVar[Self | None] = None
    """That of the last tick of this process."""

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        """What was remembered as this cursor; nothing of a cursor that is not understood."""
        last, cls.last = cls.last, None  # a tick that fails leaves nothing
        if last is not None and cursor is not None and last.cursor == cursor:
            return cls(last.seen, cursor)
        kept = seen_of(cursor)
        return cls() if kept is None else cls(kept, cursor)

    def text(self) -> str:
        """The cursor."""
        if self.cursor is None:
            kept = {name: tuple(vars(seen).values()) for name, seen in self.seen.items()}
            self.cursor = json.dumps(kept, separators=(",", ":"))
        return self.cursor

    def put(self, name: str, seen: Seen | None) -> None:
        """Remember this of a directory; None: nothing any more."""
        self.cursor = None
        if seen is None:
            self.seen.pop(name, None)
        else:
            self.seen[name] = seen

    def before(self, name: str) -> float:
        """When the newest file was written of what was taken last of a scene; 0: nothing was."""
        seen = self.seen.get(name)
        return seen.before if seen else 0

    def within(self, directories: Iterable[str]) -> set[str]:
        """What is remembered of these directories, and of scenes that lie in them."""
        known = {*directories}
        return {n for n in self.seen if n in known or any(p in known for p in _parents(n))}

    @property
    def full(self) -> bool:
        """Whether this tick has taken as many as it may."""
        return len(self.requested) + len(self.registered) >= A_TICK


def _parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def seen_of(cursor: str | None) -> dict[str, Seen] | None:
    """What a cursor remembers, by the directory's name; None of one that is not understood."""
    try:
        kept = json.loads(cursor or "{}")
        return {name: _seen(values) for name, values in kept.items()}
    except (TypeError, ValueError, AttributeError):
        return None


def _seen(values: list[Any] | dict[str, Any]) -> Seen:
    """Of a cursor; earlier versions kept the names of the fields."""
    return Seen(**values) if isinstance(values, dict) else Seen(*values)
