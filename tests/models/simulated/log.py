"""Lines as loguru writes them in NVIDIA's repositories, through the filter of each of them.

    [MM-DD HH:MM:SS|LEVEL|file:line:function] message

The real set-ups at the pinned commits; all write to standard output, bars to standard error:

transfer1    cosmos_transfer1/utils/log.py:52 `init_loguru_stdout`: level LOGURU_LEVEL (INFO); no
             module is filtered
transfer2_5  packages/cosmos-oss/cosmos_oss/init.py:76 `_init_log_console`: INFO, and the modules
             of `HIDDEN` are dropped, at CRITICAL too; with COSMOS_VERBOSE=1 DEBUG, of all modules
cosmos3      cosmos_framework/inference/common/init.py:95 `_init_log_console`: INFO, and the
             modules of `HIDDEN` are dropped, of which none takes part in a transfer; with
             COSMOS_VERBOSE=1 INFO of all modules

Ranks: before its process group exists, every process takes itself for rank 0 and prints. After
that only rank 0 prints, except lines with `rank0_only=False`, which begin with `[RANK n] ` on every
rank (transfer1: without the space). A filter that hides modules lets CRITICAL lines of all ranks
through.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TextIO

from . import ranks

LEVELS = {"DEBUG": 10, "INFO": 20, "SUCCESS": 25, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
SHOWN = {
    "transfer2_5": ("cosmos_transfer2._src.imaginaire.utils.checkpoint_db",
                    "cosmos_transfer2._src.imaginaire.trainer", "*.callbacks.*"),
    "cosmos3": ("cosmos_framework.model.attention", "cosmos_framework.utils.checkpoint_db",
                "imaginaire.trainer", "cosmos_framework.utils.generator.model_loader",
                "*.callbacks.*"),
}  # fmt: skip
"""Modules that are shown although a pattern of `HIDDEN` fits."""
HIDDEN = {
    "transfer2_5": ("*._*", "projects.*", "cosmos_transfer2._src.imaginaire.*"),
    "cosmos3": ("*._*", "projects.*", "imaginaire.*"),
}


@dataclass
class Setup:
    """The set-up of one repository."""

    family: str = "transfer1"
    job: str = ""
    """One more part of each line's head."""
    files: list[tuple[TextIO, int, bool]] = field(default_factory=list)
    """Log files: the least level, and whether modules are hidden."""

    @property
    def verbose(self) -> bool:
        """See `COSMOS_VERBOSE` in flags.py of both repositories."""
        return os.environ.get("COSMOS_VERBOSE", "").lower() in ("true", "1", "yes", "y")

    @property
    def least(self) -> int:
        """The least level on standard output."""
        if self.family == "transfer1":
            return LEVELS.get(os.environ.get("LOGURU_LEVEL", "INFO"), 20)
        return LEVELS["DEBUG" if self.family == "transfer2_5" and self.verbose else "INFO"]

    def hides(self, module: str) -> bool:
        """Whether the console's filter drops this module's lines."""
        if any(fnmatch(module, pattern) for pattern in SHOWN.get(self.family, ())):
            return False
        return any(fnmatch(module, pattern) for pattern in HIDDEN.get(self.family, ()))


_setup = Setup()


def introduce(entry_point: str, family: str = "transfer1", job: str = "") -> None:
    """Say first of all that this is no model; choose the set-up of the family."""
    _setup.family, _setup.job = family, job
    if int(os.environ.get("RANK", "0")) == 0:
        print(
            f"SIMULATOR of NVIDIA's {entry_point}: no model is loaded, no GPU is used", flush=True
        )


def also_to(path: Path, level: str, *, all_modules: bool = False) -> None:
    """Write lines of this level and above to a file, too."""
    if ranks.rank() == 0:
        _setup.files.append((path.open("w", encoding="utf-8"), LEVELS[level], all_modules))


def say(level: str, message: str, of: str, rank0_only: bool) -> None:
    """One line from the caller's caller; `of`: the file that has it in the real repository."""
    caller = sys._getframe(2)
    path = of or os.path.relpath(caller.f_code.co_filename)
    module = path.removesuffix(".py").replace("/", ".")
    stamp = time.strftime("%m-%d %H:%M:%S")
    where = f"{path}:{caller.f_lineno}:{caller.f_code.co_name}"
    head = f"[{stamp}|{_setup.job}{level}|{where}] "
    hides = _setup.hides(module)
    mine = ranks.joined_rank() == 0 or not rank0_only
    if not rank0_only and not (level == "CRITICAL" and _filters()):
        gap = "" if _setup.family == "transfer1" else " "
        message = f"[RANK {ranks.joined_rank()}]{gap}{message}"
    reaches = not hides and (mine or level == "CRITICAL") if _filters() else mine
    if reaches and LEVELS[level] >= _setup.least:
        sys.stdout.write(f"{head}{message}\n")  # in one piece, even if Python does not buffer
        sys.stdout.flush()
    for file, least, all_modules in _setup.files:
        if mine and LEVELS[level] >= least and (all_modules or not hides):
            print(f"{head}{message}", file=file, flush=True)


def _filters() -> bool:
    """Whether the console's filter looks at modules."""
    return _setup.family in HIDDEN and not _setup.verbose


def debug(message: str, of: str = "", *, rank0_only: bool = True) -> None:
    """Mostly only in files."""
    say("DEBUG", message, of, rank0_only)


def info(message: str, of: str = "", *, rank0_only: bool = True) -> None:
    """The usual level."""
    say("INFO", message, of, rank0_only)


def success(message: str, of: str = "", *, rank0_only: bool = True) -> None:
    """Transfer2.5 has this level, too."""
    say("SUCCESS", message, of, rank0_only)


def warning(message: str, of: str = "", *, rank0_only: bool = True) -> None:
    """Something is ignored or replaced."""
    say("WARNING", message, of, rank0_only)


def error(message: str, of: str = "", *, rank0_only: bool = True) -> None:
    """A sample failed and the next one may go on."""
    say("ERROR", message, of, rank0_only)


def critical(message: str, of: str = "", *, rank0_only: bool = True) -> None:
    """Guardrails speak at this level."""
    say("CRITICAL", message, of, rank0_only)


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
