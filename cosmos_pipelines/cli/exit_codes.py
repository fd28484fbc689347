"""Turn errors into one line on stderr and one exit code."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from typer import TyperException

from cosmos_pipelines.errors import CosmosError, of_file
from cosmos_pipelines.lines import plain

OK = 0
FAILED = 1
BAD_INPUT = 2
WRONG_STATE = 3
GPU_SIDE = 4
INTERRUPTED = 130


_LONG_WORD = re.compile(r"(\S{80})\S{1000,}")
"""What nobody has meant to type, and no line of an error repeats; paths are shorter."""


_LINE_ENDS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


class ClosedPipe(Exception):
    """The reader of stdout has closed the pipe (`cosmos list runs | head -1`)."""

    @classmethod
    @contextmanager
    def told_apart(cls) -> Iterator[None]:
        """Raise ClosedPipe instead of BrokenPipeError, which Typer turns into exit code 1."""
        try:
            yield
        except BrokenPipeError as e:
            raise cls from e


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters, which a terminal would execute."""
    if text.isprintable():
        return text.strip()
    return " ".join(plain(line).replace("\t", " ") for line in _LINE_ENDS.split(text)).strip()


def say(text: str) -> None:
    """Print a message for the user on stderr as plain text; ignore a closed stderr."""
    with suppress(OSError, ValueError):
        sys.stderr.write(plain(text) + "\n")
        sys.stderr.flush()


def _cut(text: str) -> str:
    return _LONG_WORD.sub(r"\1...", text)


def tell(error: CosmosError | str) -> None:
    """Print an error as one line: what is wrong, where, what to do."""
    say(f"error: {_cut(one_line(str(error)))}")


def exit_code(error: BaseException, *, debug: bool = False) -> int:
    """Print `error` on stderr and return its exit code."""
    if isinstance(error, ClosedPipe):
        _drop_stdout()
        return OK
    if isinstance(error, KeyboardInterrupt):
        say("Interrupted.")
        return INTERRUPTED
    if isinstance(error, CosmosError):
        if debug:
            say(_traceback(error))
        tell(error)
        return error.exit_code
    if isinstance(error, TyperException):
        return _usage(error)
    if isinstance(error, OSError) and not debug and (told := of_file(error)):
        tell(told)
        return told.exit_code
    return _unexpected(error, debug=debug)


def _usage(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "cosmos"
    message = one_line(error.format_message()).replace(": Value error, ", ": ")
    tell(f"{message}{'' if message.endswith(('.', '?')) else '.'} See `{path} --help`.")
    return error.exit_code


def _unexpected(error: BaseException, *, debug: bool) -> int:
    what = f"unexpected {type(error).__name__}: {error}".rstrip(": ")
    if debug:
        say(_traceback(error))
        tell(what)
        return FAILED
    try:
        handle, name = tempfile.mkstemp(prefix="cosmos-", suffix=".traceback")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as f:
            f.write(_traceback(error))
        tell(f"{what} (traceback in {name}; --debug shows the traceback here)")
    except OSError:
        tell(f"{what} (--debug shows the traceback)")
    return FAILED


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _drop_stdout() -> None:
    """Point stdout at /dev/null: otherwise Python reports the closed pipe again at its exit."""
    with suppress(OSError, ValueError):
        null = os.open(Path(os.devnull), os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
