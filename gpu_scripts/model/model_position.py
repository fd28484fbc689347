"""Find the part of a load that the model is making.

Runs on the GPU side: Python 3.10 or newer and its standard library only.

There are three sources, of which the first available one counts: lines in which the model names the
part that it starts; lines in which it names a file that it has written; the files themselves. The
lines are in step with the model's other lines; the files may be ahead of the lines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple


class Mark(NamedTuple):
    """The current part at some moment, by each of the sources."""

    begun: int
    told: int
    seen: int


class Position:
    """Follows a load through its parts, which start and end in order."""

    def __init__(self, names: Sequence[str], files: Sequence[Collection[str]], batch_size: int):
        """`names`: the names of the parts; `files`: the paths of each part's files in a line."""
        self._names = names
        self._files = files
        self._batch_size = batch_size
        self._begins = 0
        """Number of lines in which the model started a part."""
        self.tells = False
        """Whether the model prints which files it has written."""
        self._now = Mark(0, 0, 0)
        self.furthest = 0
        """The last part that is known to have started."""

    @property
    def exact(self) -> bool:
        """Whether the model prints which part it starts."""
        return self._begins > 0

    def begins(self, found: re.Match[str]) -> None:
        """Note the start of a part: of group `index` or `name`, else of the next part."""
        groups = found.groupdict()
        at = self._begins
        if groups.get("index"):
            at = int(groups["index"])
        elif own := [n for n, name in enumerate(self._names) if name == groups.get("name")]:
            at = next((n for n in own if n >= self._now.seen), own[0])  # pieces of one sample
        self._begins += 1
        self._move(begun=at)

    def mentioned(self, line: str) -> list[int]:
        """Return the parts whose files a line names."""
        return [n for n, names in enumerate(self._files) if any(name in line for name in names)]

    def written(self, number: int) -> None:
        """Note that a line names this part's files, and that the files exist."""
        self.tells = True
        self._move(told=(number // self._batch_size + 1) * self._batch_size)

    def there(self, number: int) -> None:
        """Note that this part's files exist."""
        self._move(seen=max(self._now.seen, number + 1))

    def _move(self, **places: int) -> None:
        last = len(self._names) - 1
        self._now = self._now._replace(**{k: max(0, min(n, last)) for k, n in places.items()})
        self.furthest = max(self.furthest, *self._now)

    def mark(self) -> Mark:
        """Return the current position; `part_of` gives its part once more is known."""
        return self._now

    def part_of(self, mark: Mark) -> int:
        """Return the part that the model was making at this mark."""
        if self.exact:
            return mark.begun
        return mark.told if self.tells else mark.seen

    @property
    def now(self) -> int:
        """The current part."""
        return self.part_of(self._now)

    def first_taken_for(self, group: range, written: Collection[int]) -> int:
        """Return the first part to which a line of a group may have been assigned.

        If the model does not print which part it starts, its position stays at an earlier group
        that has left no files. `written`: the parts with files.
        """
        if self.exact:
            return group.start
        before = [n // self._batch_size for n in written if n < group.start]
        return (max(before) + 1) * self._batch_size if self.tells and before else 0
