"""Lines of text that comes in pieces, in memory that no line can fill."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 64 * 1024
"""Characters of a line; what is longer comes as several lines."""
_END: Final = re.compile(r"\r\n|\n|\r")


class Lines:
    """Cuts pieces of a text into lines; a progress bar's carriage return ends a line as well."""

    def __init__(self) -> None:
        self._begun: list[str] = []
        self._length = 0
        self._after_return = False

    def add(self, piece: str) -> list[str]:
        """Return the lines that this piece ends, without their ends."""
        if not piece:
            return []
        halves = self._after_return and piece.startswith("\n")  # of "\r\n"
        self._after_return = piece.endswith("\r")
        first, *others = _END.split(piece[1:] if halves else piece)
        self._begun.append(first)
        self._length += len(first)
        if not others:
            return self._cut() if self._length > LONGEST else []
        *whole, last = ["".join(self._begun), *others]
        self._begun, self._length = [last], len(last)
        return [part for line in whole for part in _parts(line)]

    def rest(self) -> str:
        """Return the line that has begun and not ended."""
        return "".join(self._begun)

    def _cut(self) -> list[str]:
        *whole, last = _parts("".join(self._begun))
        self._begun, self._length = [last], len(last)
        return whole


def _parts(line: str) -> list[str]:
    return [line[at : at + LONGEST] for at in range(0, max(len(line), 1), LONGEST)]
