"""The shell of a host: a script with constant text, and its answer in parts.

Every script has the functions below, and its answer is `NAME BYTES\\n` and so many bytes, again and
again. Names and numbers come as arguments; programs of a carrier become functions of the script.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from cosmos_pipelines.backends.ssh.gpu_lock import GPU_LOCK
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.remote.files.scripts import HASHES

_COMMON: Final = """
LC_ALL=C; export LC_ALL; umask 022
contents() { # DIRECTORY: its name, if it has the files of the scripts that were sent and no other
    (cd -- "$1" && hashes $(find . ! -type d) </dev/null 2>/dev/null) |
        while read -r found name; do echo "$found ${name#\\*}"; done | sort | hashes | cut -c 1-16
}
part() { printf '%s %d\\n' "$1" "${#2}"; printf '%s' "$2"; }
answer() { # NAME COMMAND: the output of COMMAND as part NAME, or its errors as part no_NAME
    if found=$("$2" 2>/dev/null); then part "$1" "$found"; else part "no_$1" "$("$2" 2>&1 >/dev/null)"; fi
}
clock() {
    part uptime "$(cut -d ' ' -f 1 /proc/uptime)"
    part ticks "$(getconf CLK_TCK 2>/dev/null || echo 100)"
    part now "$(date +%s)"
}
# The carrier is asked first: if the order has ended, its files do not change any more.
look() { # FOLDER FILE...
    answer carried ask_carrier
    cd -- "$1" 2>/dev/null || {
        part no_folder "$(ls -d -- "$1" 2>&1)"
        [ -d "${1%/*}" ] || part no_runs "${1%/*}"
        return 0
    }
    part folder "$(pwd -P)"
    shift
    for file do
        most=4200000 # one that is longer is told
        [ "$file" != order.json ] || most=17000000
        [ -f "$file" ] || continue
        found=$(head -c "$most" -- "$file") || exit 74 # one that cannot be read is not an empty one
        part "$file" "$found"
    done
    part size "$(stat -c %s run.log 2>/dev/null || echo 0)"
}
is() { [ "$(state 2>/dev/null)" = "$1" ]; }
lives() { case $(state 2>/dev/null) in queued | running) ;; *) return 1 ;; esac; }
# One start or removal at a time. The lock ends with this shell, also if the shell is killed.
lock() { exec 9>>.lock && { ! command -v flock >/dev/null || flock 9; } || exit 73; }
"""  # noqa: E501


def parts(answer: bytes) -> dict[str, str]:
    """Split an answer into its parts by name.

    Raises:
        BackendError: the answer does not consist of parts.
    """
    found = {}
    while answer:
        head, _, answer = answer.partition(b"\n")
        name, _, size = head.partition(b" ")
        if not size.isdigit() or int(size) > len(answer):
            raise BackendError(
                "launch_failed",
                f"The host printed {head[:100]!r}, which is not part of the answer.",
                hint="Do the programs of the host work as usual? `cosmos doctor` looks at it.",
            )
        found[name.decode(errors="replace")] = answer[: int(size)].decode(errors="replace")
        answer = answer[int(size) :]
    return found


def script(text: str, *arguments: str, **commands: Sequence[str]) -> list[str]:
    """Return a script with its arguments; `commands` become functions of the script."""
    functions = "".join(f"{name}() {{ {shlex.join(argv)}; }}\n" for name, argv in commands.items())
    return ["sh", "-c", f"{_COMMON}{GPU_LOCK}{HASHES}{functions}{text}", "cosmos", *arguments]
