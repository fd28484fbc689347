"""The command line. Imports nothing heavy: each command's module is loaded when it is called."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code; errors are printed on stderr.

    Args:
        argv: the words after `cosmos`; default: those of this process.
    """
    # imported objects live for ever: garbage collection among them takes a tenth of the start
    gc.set_threshold(50_000, 20, 20)
    os.environ.setdefault("LOGURU_AUTOINIT", "False")  # each command sets up its own log
    from cosmos_pipelines.cli.app import run

    return run(sys.argv[1:] if argv is None else list(argv))
