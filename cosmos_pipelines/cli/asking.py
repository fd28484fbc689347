"""Ask the user before files are deleted or runs stopped; without a terminal, refuse."""

from __future__ import annotations

import sys

from cosmos_pipelines.cli.exit_codes import one_line, say
from cosmos_pipelines.errors import InputError


def agreed(question: str, *, force: bool) -> bool:
    """Whether the user agrees.

    Raises:
        InputError: there is no terminal, and --force was not given.
    """
    if force:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError("Nothing was done: there is no terminal to ask on.", hint="Add --force.")
    sys.stderr.write(f"{one_line(question)} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("Nothing was done.")
    return False
