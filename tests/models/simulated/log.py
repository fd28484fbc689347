"""Lines as loguru writes them in NVIDIA's repositories: standard output, rank 0 only.

[MM-DD HH:MM:SS|LEVEL|file:line:function] message
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TextIO

from . import ranks

LEVELS = {"DEBUG": 10, "INFO": 20, "SUCCESS": 25, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}

_files: list[tuple[TextIO, int]] = []
_head: list[str] = []


def introduce(entry_point: str, job: str = "") -> None:
    """Say first of all that this is no model; `job` is one more part of each line's head."""
    _head.append(job)
    if ranks.rank() == 0:
        print(
            f"SIMULATOR of NVIDIA's {entry_point}: no model is loaded, no GPU is used", flush=True
        )


def also_to(path: Path, level: str) -> None:
    """Write lines of this level and above to a file, too."""
    if ranks.rank() == 0:
        _files.append((path.open("w", encoding="utf-8"), LEVELS[level]))


def say(level: str, message: str) -> None:
    """One line from the caller's caller."""
    if ranks.rank() != 0:
        return
    caller = sys._getframe(2)
    where = f"{os.path.relpath(caller.f_code.co_filename)}:{caller.f_lineno}"
    stamp = time.strftime("%m-%d %H:%M:%S")
    line = f"[{stamp}|{''.join(_head)}{level}|{where}:{caller.f_code.co_name}] {message}"
    if LEVELS[level] >= LEVELS.get(os.environ.get("LOGURU_LEVEL", "INFO"), 20):
        sys.stdout.write(f"{line}\n")  # in one piece, even if Python does not buffer
        sys.stdout.flush()
    for file, least in _files:
        if LEVELS[level] >= least:
            print(line, file=file, flush=True)


def debug(message: str) -> None:
    """Only in files."""
    say("DEBUG", message)


def info(message: str) -> None:
    """The usual level."""
    say("INFO", message)


def success(message: str) -> None:
    """Transfer2.5 has this level, too."""
    say("SUCCESS", message)


def warning(message: str) -> None:
    """Something is ignored or replaced."""
    say("WARNING", message)


def error(message: str) -> None:
    """A sample failed and the next one may go on."""
    say("ERROR", message)


def critical(message: str) -> None:
    """Guardrails speak at this level."""
    say("CRITICAL", message)


def tick(done: int, of: int, what: str = "") -> None:
    """A progress bar like tqdm's, on standard error; every rank has one."""
    share = done / of if of else 0
    bar = ("█" * int(share * 10)).ljust(10)
    head = f"{share:4.0%}|{bar}| {done}/{of}" if of else "0it"
    rest = "?" if done == 0 else f"00:{of - done:02d}"
    rate = "?it/s" if done == 0 else "1.00s/it"
    end = "\n" if done == of else ""
    sys.stderr.write(f"\r{what}{head} [00:{done:02d}<{rest}, {rate}]{end}")
    sys.stderr.flush()
