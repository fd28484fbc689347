"""Lines of a text in pieces, in memory that no line can fill; text that a terminal may get.

A terminal executes what a text asks of it: other colours, a cleared screen, a title, an answer that
is typed for the user. `plain` and `PlainText` leave what is to be read.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 64 * 1024
"""Characters of a line; what is longer comes as several lines."""
_END: Final = re.compile(r"\r\n|\n|\r")


def percent(share: float) -> str:
    """A share as `3.1 %`, and never 0 % of what is there."""
    return f"{share:.1%}".replace("%", " %") if share >= 0.0005 else f"{100 * share:.2g} %"


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


_CONTROLS: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069"
"""Characters that a terminal executes, and those that turn the direction of what is shown."""
_STRING: Final = "(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]*"
"""The beginning of OSC, DCS and the like, which set a title or make a link."""
_CSI: Final = "(?:\x1b\\[|\x9b)[0-?]*[ -/]*"
"""The beginning of what sets colours, the cursor and the screen."""
REMOVED: Final = (
    f"{_CSI}[@-~]|{_STRING}(?:\x07|\x1b\\\\|\x9c)|\x1b[ -/]*[0-OQ-WYZ\\\\`-~]|[{_CONTROLS}]"
)
"""Escape sequences by ECMA-48, with their arguments, and control characters but tab, LF and CR.

An expression that JavaScript reads as Python does.
"""
_TO_REMOVE: Final = re.compile(REMOVED)
_BEGUN: Final = re.compile(f"(?:\x1b[ -/]*|{_CSI}|{_STRING}\x1b?)\\Z")
"""The beginning of an escape sequence at the end of a text."""


def plain(text: str) -> str:
    """Return a text without escape sequences and control characters; tabs and line ends stay.

    Of a line that a carriage return wrote over, only its last state is left.
    """
    if text.isprintable():
        return text
    shown = PlainText()
    return shown.add(text) + shown.rest()


class PlainText:
    """`plain` for a text that comes in pieces: an unfinished line waits for its last state.

    `overwrites`: lines are not held back; carriage returns are passed on, as for a terminal.
    """

    def __init__(self, *, overwrites: bool = False) -> None:
        self._overwrites = overwrites
        self._rest = ""

    def add(self, piece: str) -> str:
        """Return what can be shown after this piece."""
        text = self._rest + piece
        begun = _BEGUN.search(text, max(0, len(text) - LONGEST))
        at = begun.start() if begun else len(text)
        if not self._overwrites and len(text) - text.rfind("\n", 0, at) <= LONGEST:
            at = text.rfind("\n", 0, at) + 1
        elif text.endswith("\r", 0, at):
            at -= 1  # the first half of a line end, perhaps
        text, self._rest = text[:at], text[at:]
        return self._shown(text)

    def rest(self) -> str:
        """Return what is left at the end of the text."""
        text, self._rest = self._rest, ""
        return self._shown(text)

    def _shown(self, text: str) -> str:
        text = _TO_REMOVE.sub("", text).replace("\r\n", "\n")
        if self._overwrites or "\r" not in text:
            return text
        return "\n".join(map(_last_state, text.split("\n")))


def _last_state(line: str) -> str:
    states = line.split("\r")
    return next((state for state in reversed(states) if state.strip()), states[-1])


def _parts(line: str) -> list[str]:
    return [line[at : at + LONGEST] for at in range(0, max(len(line), 1), LONGEST)]
