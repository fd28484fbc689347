"""The scripts that a host executes for an order: POSIX shell with constant text.

Names and numbers come as arguments, texts as a tar on standard input; the carrier's programs are
shell functions made of its argument vectors (see `carriers.base`). A script that has started runs
to its end when the connection is lost, except `follow`, which ends with the connection.

A script answers in parts: see `host_shell`.

Exit codes, the reason on standard error: 66 no such folder, 73 a folder cannot be written, 74
a file cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cosmos_pipelines.backends.carriers.gpu_choice import GPUS_LOCK
from cosmos_pipelines.backends.ssh.host_shell import script

RECORDS: Final = ("pid", "stop", "exit_code")
"""Files of a run folder from which the order's state is read."""

_ARRIVE: Final = """
cd && mkdir -p -- "$1" && cd -- "$1" && mkdir -p cas runs scripts || exit 73
root=$(pwd -P)
part root "$root"
part user "$(id -u):$(id -g)"
touch -c -- "scripts/$2" 2>/dev/null # in use: see `clean`
[ ! -d "scripts/$2" ] || part scripts here
answer needs needs
[ -z "$4" ] || tell_gpus
look "runs/$3" pid
"""

_BRING_SCRIPTS: Final = """
cd -- "$1/scripts" || exit 73
new=.$2.$3.part
trap 'rm -rf -- "$new"' EXIT
find . -mindepth 1 -maxdepth 1 -name '.*.part' -mtime +0 -exec rm -rf {} +
mkdir -- "$new" && tar -x -o -m -f - -C "$new" && [ -e "$new/complete" ] || exit 73
chmod -R a+rX -- "$new"
cd ../runs && lock && cd ../scripts || exit 73
if [ -d "$2" ] && [ "$(contents "$2")" != "$2" ]; then
    # kept for a day: a container may still read them. A job that starts now finds the new ones.
    aside=.$2.damaged.$3.part
    mv -T -- "$2" "$aside" && mv -T -- "$new" "$2" && touch -- "$aside" || exit 73
fi
mv -T -- "$new" "$2" 2>/dev/null || [ -d "$2" ] || exit 73
"""

# `order.json` is the tar's last member: if it exists, the tar is complete.
_START: Final = """
cd -- "$1/runs" || exit 73
root=$1 id=$2 token=$3 scripts=$4 gpus_lock=$5
new=.$id.$token.part held=.$id.$token.cas.part
shift 5
gone() { part gone "$1"; exit 0; } # removed since the order arrived
damaged_are() { part damaged "$1"; exit 0; }
trap 'cd -- "$root/runs" && rm -rf -- "$new" "$held"' EXIT
find . -mindepth 1 -maxdepth 1 -name '.*.part' -mtime +0 -exec rm -rf {} +
mkdir -- "$new" && tar -x -o -m -f - -C "$new" && [ -e "$new/order.json" ] || exit 73
hold() { # HASH NAME...: what is hashed is what the run gets, whatever happens in cas
    while [ "$#" -ge 2 ]; do
        if [ ! -e "$held/$1" ] && ! ln -- "$root/cas/$1" "$held/$1" 2>/dev/null; then
            [ -e "$root/cas/$1" ] || gone "$1"
            cp -- "$root/cas/$1" "$held/$1" || exit 73
        fi
        shift 2
    done
}
place() { # HASH NAME...
    while [ "$#" -ge 2 ]; do
        file=$new/inputs/$2
        mkdir -p -- "${file%/*}" || exit 73
        ln -- "$held/$1" "$file" 2>/dev/null || cp -- "$held/$1" "$file" || exit 73
        shift 2
    done
}
if [ "$#" -gt 0 ]; then
    mkdir -- "$held" || exit 73
    hold "$@"
    wrong=$(damaged "$held"/*)
    for name in $wrong; do rm -f -- "$root/cas/$name" || exit 73; done
    [ -z "$wrong" ] || damaged_are "$wrong"
    place "$@"
    rm -rf -- "$held"
fi
sound() { [ "$(contents "$root/scripts/$scripts")" = "$scripts" ]; }
[ -d "$root/scripts/$scripts" ] || gone scripts
sound || damaged_are scripts
begin() {
    [ -z "$gpus_lock" ] || { lock_gpus "$gpus_lock" && tell_gpus; } || return 0
    rm -rf -- "$id" && mv -T -- "$new" "$id" || exit 73
    said=$(start 2>&1 >/dev/null) || {
        ! is created || remove >/dev/null 2>&1
        ! is absent || rm -rf -- "$id"
        part refused "$said"
        return
    }
    unlock_gpus
    looks=0
    until [ -e "$id/pid" ] || [ "$looks" -ge 600 ]; do
        looks=$((looks + 1))
        [ $((looks % 10)) -ne 0 ] || is running || break
        sleep 0.05
    done
    [ -e "$id/pid" ] || lives || {
        part refused "$(words 2>&1 | tail -c 2000)" # run.sh refused the order: nothing has run
        remove >/dev/null 2>&1 && rm -rf -- "$id"
    }
}
lock
! is created || remove >/dev/null 2>&1 # the process that created it died before the start
if is absent && [ ! -e "$id/pid" ]; then
    if grep -qxF -- "$id" ../ended 2>/dev/null; then
        part refused "$id was started before; it has ended and was removed."
    else
        begin
    fi
fi
clock
look "$id" pid
"""

_SCRIPTS: Final = """
cd -- "$1/scripts" 2>/dev/null || { echo none; exit 0; }
if [ -d "$2" ]; then
    [ "$(contents "$2")" = "$2" ] && echo sound || echo damaged
else
    set -- [0-9a-f]*
    [ -d "$1" ] && echo others || echo none
fi
"""

_LOOK: Final = """
clock
folder=$1
shift
look "$folder" "$@"
"""

_FOLLOW: Final = """
cd -- "$1" || exit 66
log= end=
trap 'kill $log $end 2>/dev/null; exit 143' TERM HUP INT
tail -c "+$2" -f -- run.log & log=$!
ended >/dev/null 2>&1 & end=$!
wait "$end"
sleep 0.02 # for the last lines; lines that are still missing are asked for later
kill "$log" 2>/dev/null
look . pid stop exit_code >&2
"""

_REST: Final = """
exec tail -c "+$2" -- "$1/run.log"
"""

_STOP: Final = """
if lives; then
    if printf %s "$2" >"$1/stop.$$" 2>/dev/null; then
        ln -- "$1/stop.$$" "$1/stop" 2>/dev/null # the first reason stays
    fi
    rm -f -- "$1/stop.$$"
    stop >/dev/null 2>&1
    ! lives || kill_ >/dev/null 2>&1
    looks=0
    while lives && [ "$looks" -lt 100 ]; do
        looks=$((looks + 1))
        sleep 0.1
    done
fi
look "$1" pid
"""

_DISCARD: Final = """
cd -- "$1/runs" || exit 73
lock
said=$(remove 2>&1) || is absent || { part refused "$said"; exit 0; }
[ -e "$2" ] || exit 0
started=
[ ! -e "$2/pid" ] || started=1
mv -T -- "$2" ".$2.$3.part" && rm -rf -- ".$2.$3.part" || exit 73
# A machine that was offline for long may come back and try to start the order.
[ -z "$started" ] || [ "$4" = again ] || printf '%s\n' "$2" >>../ended || exit 73
"""


def arrive(
    directory: str,
    scripts: str,
    order_id: str,
    *,
    choose: Sequence[str] | None,
    **commands: Sequence[str],
) -> list[str]:
    """Make the directories; print their path, the login user, whether scripts and needs exist.

    `choose`: a program that prints which GPUs are free, in the part `gpus`, or fails (`no_gpus`).
    """
    if choose is not None:
        commands["choose"] = choose
    return script(_ARRIVE, directory, scripts, order_id, "gpus" if choose else "", **commands)


def bring_scripts(root: str, name: str, token: str) -> list[str]:
    """Unpack a tar of scripts, whose last member is `complete`, in the place of damaged ones."""
    return script(_BRING_SCRIPTS, root, name, token)


def start(
    root: str,
    order_id: str,
    token: str,
    scripts: str,
    inputs: Iterable[tuple[str, str]],
    *,
    choose: Sequence[str] | None,
    chosen: str,
    **commands: Sequence[str],
) -> list[str]:
    """Unpack a run folder, link its inputs (hash, name), start the order unless it was started.

    The part `gone` says that an input, or the scripts of this name, have been removed meanwhile;
    `damaged`, which of them have another content than their name says; such inputs were removed,
    scripts are replaced by `bring_scripts`. Nothing is started either after `no_gpus` (see
    `arrive`), `no_lock` (the lock's file cannot be used) and `lock_held`.

    Args:
        choose: a program that prints the ids of free GPUs, run under a lock of the whole host.
        chosen: stands for these ids in the command `start`; it has a brace, which no shell word has
            without quotation marks.
    """
    words = [word for pair in inputs for word in pair]
    lock = ""
    if choose is not None:
        commands["choose"], lock = choose, GPUS_LOCK
    argv = script(_START, root, order_id, token, scripts, lock, *words, **commands)
    argv[2] = argv[2].replace(chosen, "'\"$gpus\"'") if chosen else argv[2]
    return argv


def scripts_there(directory: str, name: str) -> list[str]:
    """Print whether the scripts of this name are `sound` or `damaged`; else `others` or `none`."""
    return script(_SCRIPTS, directory, name)


def look(folder: str, *files: str, ask_carrier: Sequence[str]) -> list[str]:
    """Print clock, the carrier's answer, these files of the folder, size of the log."""
    return script(_LOOK, folder, *files, ask_carrier=ask_carrier)


def follow(
    folder: str, offset: int, *, ended: Sequence[str], ask_carrier: Sequence[str]
) -> list[str]:
    """Print the log from a byte on until `ended` ends, then the order's state on standard error."""
    # `exec`: the kill must hit the program itself, not a shell around it
    commands = {"ended": ["exec", *ended], "ask_carrier": ask_carrier}
    return script(_FOLLOW, folder, str(offset + 1), **commands)


def rest(folder: str, offset: int) -> list[str]:
    """Print the log from a byte to the present end of the log."""
    return script(_REST, folder, str(offset + 1))


def stop(folder: str, reason: str, **commands: Sequence[str]) -> list[str]:
    """Write the reason, ask the order to stop, kill it, print its state."""
    return script(_STOP, folder, reason, **commands)


def discard(
    root: str, order_id: str, token: str, *, again: bool, **commands: Sequence[str]
) -> list[str]:
    """Remove an ended order and its folder; `again`: the order may be started another time."""
    return script(_DISCARD, root, order_id, token, "again" if again else "", **commands)
