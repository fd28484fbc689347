"""Which part of a load is in work, as far as anybody can tell.

Runs on the GPU side: Python 3.10 or newer and its standard library only.

There are three sources, of which the first that there is counts: lines in which the model says what
it begins with; lines in which it says the path of a file that it has written; the files themselves.
The first two are in step with what else it says; the files may be ahead of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple


class Mark(NamedTuple):
    """The part in work at some moment, by each of the sources."""

    begun: int
    told: int
    seen: int


class Position:
    """Follows a load through its parts, which are begun and finished in order."""

    def __init__(self, names: Sequence[str], files: Sequence[Collection[str]], batch_size: int):
        """`names` are those of the parts; `files` how a line would write the files of each."""
        self._names = names
        self._files = files
        self._batch_size = batch_size
        self._begins = 0
        """How often the model has said that it begins with a part."""
        self.tells = False
        """Whether the model says what it has written."""
        self._now = Mark(0, 0, 0)
        self.furthest = 0
        """The last part that is known to have been begun."""

    @property
    def exact(self) -> bool:
        """Whether the model says what it begins with."""
        return self._begins > 0

    def begins(self, found: re.Match[str]) -> None:
        """It has said so: of the part of group `index` or `name`, else of the next one."""
        groups = found.groupdict()
        at = self._begins
        if groups.get("index"):
            at = int(groups["index"])
        elif own := [n for n, name in enumerate(self._names) if name == groups.get("name")]:
            at = next((n for n in own if n >= self._now.seen), own[0])  # pieces of one sample
        self._begins += 1
        self._move(begun=at)

    def mentioned(self, line: str) -> list[int]:
        """Parts whose files a line names."""
        return [n for n, names in enumerate(self._files) if any(name in line for name in names)]

    def written(self, number: int) -> None:
        """It has said that this part's files are written, and that is true."""
        self.tells = True
        self._move(told=(number // self._batch_size + 1) * self._batch_size)

    def there(self, number: int) -> None:
        """This part's files were seen."""
        self._move(seen=max(self._now.seen, number + 1))

    def _move(self, **places: int) -> None:
        last = len(self._names) - 1
        self._now = self._now._replace(**{k: max(0, min(n, last)) for k, n in places.items()})
        self.furthest = max(self.furthest, *self._now)

    def mark(self) -> Mark:
        """Where it is now; `part_of` tells it when more is known."""
        return self._now

    def part_of(self, mark: Mark) -> int:
        """The part that was in work then."""
        if self.exact:
            return mark.begun
        return mark.told if self.tells else mark.seen

    @property
    def now(self) -> int:
        """The part in work."""
        return self.part_of(self._now)

    def first_taken_for(self, group: range, written: Collection[int]) -> int:
        """The first part at which the model may have seemed to be when it said a line of a group.

        Where it does not say what it begins with, it seems to be at a group before, if that has
        left no files; `written` are the parts that have.
        """
        if self.exact:
            return group.start
        before = [n // self._batch_size for n in written if n < group.start]
        return (max(before) + 1) * self._batch_size if self.tells and before else 0
