"""In which block of a log its lines begin: counted once, in blocks, and again only what has grown.

A line ends with LF, CR LF, or CR alone (as of a progress bar): see `lines.Lines`. A block of an
index is BLOCK bytes; CR LF across two blocks ends its line in the second one.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, Final

BLOCK: Final = 1 << 18
"""Bytes of a block: a few thousand lines."""
KEPT: Final = 8
"""Indices of files that are kept by this process; each has a number for each block."""

_kept: OrderedDict[Path, LineIndex] = OrderedDict()
_keeping = threading.Lock()


class LineIndex:
    """How many lines have ended before each block of a file."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self._inode = -1
        self._starts = [0]

    def read(self, file: BinaryIO) -> tuple[int, list[int]]:
        """Return the size of a file and the number of line ends before each of its blocks."""
        with self._counting:
            state = os.fstat(file.fileno())
            counted = (len(self._starts) - 1) * BLOCK
            if state.st_ino != self._inode or state.st_size < counted:
                self._inode, self._starts, counted = state.st_ino, [0], 0
            file.seek(counted)
            ahead = file.read(1)
            while counted + BLOCK < state.st_size and ahead:
                block = ahead + file.read(BLOCK)  # with the byte behind it
                if len(block) <= BLOCK:
                    break
                self._starts.append(self._starts[-1] + _ends(block))
                counted, ahead = counted + BLOCK, block[BLOCK:]
            return state.st_size, list(self._starts)


def index_of(path: Path) -> LineIndex:
    """Return the index of a file, which this process keeps for a while."""
    with _keeping:
        index = _kept.pop(path, None) or LineIndex()
        _kept[path] = index
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
        return index


def _ends(block: bytes) -> int:
    """The number of lines that end in the first BLOCK bytes; one more byte is known."""
    inside = block[:BLOCK]
    found = inside.count(b"\n") + inside.count(b"\r") - inside.count(b"\r\n")
    return found - (block[BLOCK - 1 :] == b"\r\n")
