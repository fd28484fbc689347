"""The scripts that a host executes to keep files by their hash: POSIX shell with constant text.

Names and numbers come as arguments, lists on standard input; the text itself never changes. The
host needs sh, stat -c, dd, tar, xargs, find, sort, uniq, sync and sha256sum (GNU or busybox). If
the host has openssl, openssl hashes: 1.4 GB/s with the processor's own instructions, against 0.3.

Exit codes: 65 incomplete, 66 no such file, 67 wrong content, 73 cannot be written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

INCOMPLETE: Final = 65
ABSENT: Final = 66
WRONG: Final = 67

BLOCK: Final = 64 << 10
"""Bytes; a resumed upload starts at a multiple of this number, for `dd`. A pipe holds no more."""

HASHES: Final = """
hashes() { openssl dgst -sha256 -r "$@" 2>/dev/null || sha256sum -- "$@"; }
damaged() { # FILE...: print those that cannot be read, or have not the hash that is their name
    {
        for file do echo "${file##*/}"; done
        hashes "$@" 2>/dev/null | while read -r found name; do
            [ "$found" != "${name##*[/*]}" ] || echo "$found"
        done
    } | sort | uniq -u # a sound one comes twice
}
"""
"""Shell functions, also for other scripts; `LC_ALL` is C."""

_COMMON: Final = f"""
LC_ALL=C; export LC_ALL; umask 022
{HASHES}
hash() {{ found=$(openssl dgst -sha256 -r "$1" 2>/dev/null) || found=$(sha256sum <"$1"); found=${{found%% *}}; }}
settle() {{ sync -- "$1" 2>/dev/null || sync; }}
"""  # noqa: E501

_LOOK: Final = """
mkdir -p -- "$1" && cd -- "$1" || exit 73
df -Pk . | tail -n 1
xargs stat -c '%n %s' -- 2>/dev/null
exit 0
"""

# dd writes at fixed positions: a dd that a broken connection has left running does no harm, since
# the same content has the same bytes at the same position.
_RECEIVE: Final = """
cd -- "$1" || exit 73
there() { [ "$(stat -c %s -- "$1" 2>/dev/null)" = "$2" ]; }
there "$2" "$4" && exit 0
[ "$(stat -c %s -- "$2.part" 2>/dev/null || echo 0)" -le "$4" ] || rm -f -- "$2.part"
said=$(dd of="$2.part" bs="$5" seek="$3" conv=notrunc 2>&1) || {
    echo "$said" >&2
    case $said in *"No space left"* | *"quota exceeded"*) rm -f -- "$2.part" ;; esac
    exit 73
}
if ! there "$2.part" "$4"; then
    there "$2" "$4" && exit 0
    exit 65
fi
settle "$2.part" &
hash "$2.part"
wait $! || exit 73
if [ "$found" != "$2" ]; then
    rm -f -- "$2.part"
    echo "the received file has the SHA-256 $found" >&2
    exit 67
fi
chmod 444 -- "$2.part" && mv -f -- "$2.part" "$2" && exit 0
there "$2" "$4" || exit 73
"""

_UNPACK: Final = """
cd -- "$1" && mkdir -p .incoming || exit 73
find .incoming -mindepth 1 -maxdepth 1 -mtime +0 -exec rm -rf {} +
in=.incoming/$2
mkdir "$in" || exit 73
here=$(pwd)
trap 'cd "$here" && rm -rf "$in"' EXIT
block=$3 cut=
said=$(tar -x -o -m -f - -C "$in" 2>&1) || cut=1
case $cut$said in 1*"No space left"* | 1*"quota exceeded"*) echo "$said" >&2; exit 73 ;; esac
cd "$in" || exit 73
set -- *
if [ -e "$1" ]; then
    sync -f . 2>/dev/null || sync
    wrong=$(damaged "$@")
    # A stream that was cut: its last file is begun, the files before it are whole.
    if [ -n "$cut" ] && [ -f "$wrong" ] && [ "$(stat -c %s -- "$wrong")" -ge "$block" ]; then
        [ -e "../../$wrong.part" ] || mv -- "$wrong" "../../$wrong.part"
    fi
    [ -z "$wrong" ] || rm -f -- $wrong
    set -- *
    if [ -e "$1" ]; then chmod 444 -- "$@" && mv -f -- "$@" ../.. || exit 73; fi
elif [ -z "$cut" ]; then
    exit 65
fi
[ -z "$cut" ] || { echo "$said" >&2; exit 73; }
[ -z "$wrong" ] || { echo "$wrong"; exit 67; }
"""

_SEND: Final = """
stat -L -c %s -- "$@" || exit 66
exec cat -- "$@"
"""

_SEND_REST: Final = """
stat -L -c %s -- "$1" || exit 66
exec tail -c "+$(($2 + 1))" -- "$1"
"""


def look(cas: str) -> list[str]:
    """Print the free space, then name and size of each file of the input that exists."""
    return _sh(_LOOK, cas)


def receive(cas: str, sha256: str, offset: int, size: int) -> list[str]:
    """Receive a file's bytes from `offset`, a multiple of `BLOCK`; verify and keep the file."""
    return _sh(_RECEIVE, cas, sha256, str(offset // BLOCK), str(size), str(BLOCK))


def unpack(cas: str, token: str) -> list[str]:
    """Unpack a tar of files that are named by their hash; keep good files, print wrong ones.

    Of a stream that is cut the whole files are kept too, and its last file as a `.part`.
    """
    return _sh(_UNPACK, cas, token, str(BLOCK))


def send(paths: Sequence[str]) -> list[str]:
    """Print the sizes of files, one a line, then the bytes of all files."""
    return _sh(_SEND, *paths)


def send_rest(path: str, offset: int) -> list[str]:
    """Print the size of a file, and its bytes from `offset` on."""
    return _sh(_SEND_REST, path, str(offset))


def _sh(text: str, *arguments: str) -> list[str]:
    return ["sh", "-c", f"{_COMMON}{text}", "cosmos", *arguments]
