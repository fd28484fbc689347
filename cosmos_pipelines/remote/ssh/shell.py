r"""How any login shell runs a program, and where the program's own output begins.

sshd gives the whole command to the user's login shell: sh, bash, dash, zsh, tcsh, fish, busybox.
They agree on a text in single quotes, if it has no quote, backslash before a quote or a backslash,
`!` (history in tcsh) or line break. Here those bytes are written as `\0ooo`, which /bin/sh itself
decodes with its `printf %b`: docs/decisions/0023-any-login-shell.md.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.errors import ShellFailed

MOST_NOISE: Final = 64 << 10
"""Bytes that a login shell may print before the program."""

PLAIN: Final = '"$@"; exit $?'
"""Runs the program in a shell: a program that signal n ends has the exit code 128 + n. Without the
shell there is no exit code, which looks like a lost connection."""
GUARDED: Final = """\
exec 3<&0
"$@" </dev/null 3<&- & program=$!
{ cat <&3; kill "$program"; } >/dev/null 2>&1 & guard=$!
exec 3<&-
wait "$program"; code=$?
kill "$guard" 2>/dev/null
exit "$code\""""
"""Ends the program when its standard input ends, and so when the channel or the connection ends:
SSH itself leaves a program without a terminal running."""

_UNSAFE: Final = re.compile(rb"[^ -~]|['\\!]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True)
class Call:
    """A command for a login shell; each output has its own mark before the program's first byte."""

    line: str
    out_mark: bytes
    err_mark: bytes


def call(argv: Sequence[str], env: Mapping[str, str] | None = None, way: str = PLAIN) -> Call:
    """Return the command that runs exactly these words, with `env` added to the environment.

    `way`: how /bin/sh runs its arguments: `PLAIN` or `GUARDED`.
    """
    assigned = ["env", *(f"{name}={value}" for name, value in env.items())] if env else []
    token = secrets.token_hex(8)
    out, err = f"\1{token}\1", f"\1{token}\2"
    # A start file may have joined both outputs, left the home directory, or exported CDPATH, with
    # which `cd` prints.
    begin = f"unset CDPATH; cd; echo '{err}' >&2; echo '{out}'"
    text = f"set -- {shlex.join([*assigned, *argv])}; {begin}; {way}"
    line = f"""exec /bin/sh -c 'eval "$(printf %b "$1")"' sh '{_coded(text)}'"""
    return Call(line, f"{out}\n".encode(), f"{err}\n".encode())


def size_of(word: str) -> int:
    """Return how many bytes a word takes in a call's line, which Linux limits to 128 KiB."""
    return len(_coded(shlex.quote(word))) + 1


def _coded(text: str) -> str:
    return _UNSAFE.sub(lambda byte: b"\\0%03o" % ord(byte[0]), os.fsencode(text)).decode()


class Output:
    """One output of a call: parts what the login shell has printed from the program's own bytes."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._before = bytearray()
        self.begun = False
        """Whether the program has been started."""

    @property
    def noise(self) -> bytes:
        """What came before the program; all, if the program was not started."""
        return bytes(self._before)

    def own(self, data: bytes) -> bytes:
        """Return the program's own bytes of the next bytes of this output."""
        if self.begun:
            return data
        looked_at = max(0, len(self._before) - len(self._mark))
        self._before += data
        at = self._before.find(self._mark, looked_at)
        self.begun = 0 <= at <= MOST_NOISE  # however the bytes came in pieces
        if not self.begun:
            return b""
        own = bytes(self._before[at + len(self._mark) :])
        del self._before[at:]
        return own

    def all(self) -> bytes:
        """Take all bytes as the program's own: a start file has redirected this output."""
        self.begun = True
        own = bytes(self._before)
        self._before.clear()
        return own

    def too_noisy(self) -> bool:
        """Whether the login shell has printed more than is skipped."""
        return len(self._before) > MOST_NOISE + len(self._mark)


def too_noisy(host: str, user: str) -> ShellFailed:
    """Return the error for a login shell that does not stop to print."""
    return ShellFailed(
        host,
        f"The login shell of {user} on {host} prints more than {MOST_NOISE >> 10} KiB before it "
        "runs a program.",
        hint=f"Let its start files print only in an interactive shell; `ssh {host} true` shows it.",
    )


def not_run(host: str, user: str, exit_code: int, printed: bytes) -> ShellFailed:
    """Return the error for a login shell that ended without starting the program."""
    words = _CONTROL.sub(" ", printed[-300:].decode(errors="replace")).strip()
    said = f"It printed: {words}" if words else "It printed nothing."
    return ShellFailed(
        host,
        f"The login shell of {user} on {host} ended with exit code {exit_code} and ran no program. "
        f"{said}",
        hint=f"`ssh {host} true` must work: look for `exec` or `exit` in the shell's start files, "
        "a forced command in authorized_keys, or an account without a shell.",
    )


def first_line(noise: bytes) -> str:
    """Return the first line with words, for people; empty if there is none."""
    lines = (_CONTROL.sub(" ", line).strip() for line in noise.decode(errors="replace").split("\n"))
    return next((line[:100] for line in lines if line), "")
