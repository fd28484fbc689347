"""The lines of a program, and its last words: what they say of why it has ended. Pure.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_LINE = 1 << 16
"""Bytes; what is longer without an end is looked at as it is."""
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ERROR = re.compile(r"^(?:\[rank\d+\]:\s*)?(?:[\w.]*\.)?(\w*(?:Error|Exception)): *(\S.*)$")
"""The last line of a traceback, as Python and torchrun's ranks print it."""
KILLED = re.compile(r"exitcode\s*:\s*-9\b|Signal 9 \(SIGKILL\)|died with .*SIGKILL")
"""What torchrun says where a signal 9, not ours, ended one of its workers."""
ROOT_CAUSE = "Root Cause (first observed failure)"
"""torchrun's heading of the worker that failed first: it has ended the others itself."""
HEADING = "ChildFailedError"
"""torchrun's own exception: it says that a rank failed, never why."""


class Lines:
    """Cuts what a program writes into lines, where they end as texts or as bars of progress do."""

    def __init__(self) -> None:
        self._half = b""

    def cut(self, data: bytes) -> list[str]:
        """The lines that are whole with these bytes; none of them is empty."""
        *lines, self._half = re.split(rb"[\r\n]", self._half + data)
        if len(self._half) > LONGEST_LINE:
            lines, self._half = [*lines, self._half], b""
        return _plain(lines)

    def rest(self) -> list[str]:
        """A last line without an end."""
        return _plain([self._half])


def _plain(lines: Sequence[bytes]) -> list[str]:
    texts = (ANSI.sub("", line.decode("utf-8", "replace")).strip() for line in lines)
    return [text for text in texts if text]


class LastWords:
    """Listens to the lines of a model."""

    def __init__(self) -> None:
        self._error = self._line = ""
        self.killed = False
        """A process of it was killed by signal 9, not by us."""

    def heard(self, line: str) -> None:
        """A line, one after the other."""
        if any(letter.isalnum() for letter in line):  # torchrun ends with a ruler
            self._line = line
        error = ERROR.match(line)
        if error and error[1] != HEADING:
            self._error = f"{error[1]}: {error[2]}"
        if ROOT_CAUSE in line:
            self.killed = False
        self.killed = self.killed or bool(KILLED.search(line))

    def survived(self) -> None:
        """Whatever error was told, the model has made something after it."""
        self._error = ""

    @property
    def said(self) -> str:
        """Its last line that looks like an error, or just its last one."""
        return self._error or self._line
