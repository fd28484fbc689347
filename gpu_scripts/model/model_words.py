"""Read the lines of a program, and the error in its last lines. Pure.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_LINE = 1 << 16
"""Bytes; a longer line without an end is scanned as it is."""
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ERROR = re.compile(r"^(?:\[rank\d+\]:\s*)?(?:[\w.]*\.)?(\w*(?:Error|Exception)): *(\S.*)$")
"""The last line of a traceback, as Python prints it; `[rank0]: ` comes from PyTorch's hook
(`_distributed_excepthook` of torch/distributed/distributed_c10d.py)."""
DEBUG = re.compile(r"^\[[\d: -]+\|(?:job=[^|]*\|)?DEBUG\|")
"""A line for developers, which Transfer2.5 prints with COSMOS_VERBOSE (cosmos_oss/init.py:80)."""
KILLED = re.compile(r"exitcode\s*:\s*-9\b|Signal 9 \(SIGKILL\)|died with .*SIGKILL")
"""What torchrun prints if signal 9, not from this program, ended one of its workers: exit code and
message of `_FAILURE_FORMAT_TEMPLATE`, torch/distributed/elastic/multiprocessing/errors/__init__.py;
the last form is Python's subprocess.CalledProcessError."""
ROOT_CAUSE = "Root Cause (first observed failure)"
"""torchrun's heading for the worker that failed first: torchrun itself ended the other workers."""
HEADING = "ChildFailedError"
"""torchrun's own exception: it names the failed rank, never the reason."""


class Lines:
    """Cuts the output of a program into lines, which end with a line break or a carriage return."""

    def __init__(self) -> None:
        self._half = b""

    def cut(self, data: bytes) -> list[str]:
        """Return the lines that these bytes complete, without empty lines."""
        *lines, self._half = re.split(rb"[\r\n]", self._half + data)
        if len(self._half) > LONGEST_LINE:
            lines, self._half = [*lines, self._half], b""
        return _plain(lines)

    def rest(self) -> list[str]:
        """Return a last line without an end."""
        return _plain([self._half])


def _plain(lines: Sequence[bytes]) -> list[str]:
    texts = (ANSI.sub("", line.decode("utf-8", "replace")).strip() for line in lines)
    return [text for text in texts if text]


class LastWords:
    """Keeps the last error and the last line of a model."""

    def __init__(self) -> None:
        self._error = self._line = ""
        self.killed = False
        """Whether signal 9 killed a process of the model, not sent by this program."""

    def heard(self, line: str) -> None:
        """Read one line."""
        ruler = not any(letter.isalnum() for letter in line)  # the end of torchrun's report
        if not ruler and not DEBUG.match(line):
            self._line = line
        error = ERROR.match(line)
        if error and error[1] != HEADING:
            self._error = f"{error[1]}: {error[2]}"
        if ROOT_CAUSE in line:
            self.killed = False
        self.killed = self.killed or bool(KILLED.search(line))

    def survived(self) -> None:
        """Drop the last error: the model has made a video after it."""
        self._error = ""

    @property
    def said(self) -> str:
        """The model's last line that looks like an error, or just its last line."""
        return self._error or self._line


def filled(sentence: str, found: re.Match[str]) -> str:
    """Fill `sentence` with the groups of a match: `{1}` is the first group, `{0}` the match."""
    groups = [found[0], *(group or "" for group in found.groups())]
    return re.sub(
        r"\{(\d)\}", lambda m: groups[int(m[1])] if int(m[1]) < len(groups) else "", sentence
    )
