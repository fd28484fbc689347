"""Processes of this machine: start a program in its own session, find its processes, end them all.

A process is told from all others by its `Identity`. Reads `/proc` (Linux).
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from cosmos_pipelines.identity import PROC, Identity, stat_of

LOOK_S: Final = 0.05
"""Seconds between two checks while waiting for processes to end."""
PASSED_ON_S: Final = 1.0
"""Seconds that a program has to end its children before they get a signal too."""


@dataclass(frozen=True)
class Leader:
    """The first process of a session."""

    identity: Identity
    mark: str
    """`NAME=value` in the environment of all its descendants."""


def start_detached(
    argv: Sequence[str], *, env: Mapping[str, str], stdin: IO[str], messages: Path, kept: int
) -> subprocess.Popen[bytes]:
    """Start a program that outlives this process: own session, no terminal.

    It inherits no file but `stdin` and the file descriptor `kept`, which all its children inherit.
    The program's output goes to the file `messages`. A thread reaps the program when it ends.

    Raises:
        OSError: the program cannot be started.
    """
    with messages.open("ab") as log:
        child = subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=stdin,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(kept,),
        )
    threading.Thread(target=child.wait, name=f"reap-{child.pid}", daemon=True).start()
    return child


def seconds_since(ticks: int) -> float:
    """Seconds since a start time in clock ticks; a change of the system clock has no effect."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def members(leader: Leader) -> list[int]:
    """Return the ids of all running processes that descend from `leader`, and the leader's id.

    None if the leader cannot be seen from here.

    These processes are in the leader's session, or have left it and carry the leader's mark. A
    later session may have the same id: the system does not reuse the id while a process of the old
    session runs, so a running process with this id and another start time means that the old
    session is gone. If the leader has ended, only the mark counts.
    """
    first = leader.identity
    if not first.seen_from_here():
        return []
    present = first.lives()
    found = []
    for pid in _all_pids():
        fields = stat_of(pid)
        if fields is None or fields[0] in "ZX" or int(fields[19]) < first.started:
            continue
        in_session = present and int(fields[3]) == first.pid
        if in_session or _marked(pid, leader.mark):
            found.append(pid)
    return found


def end_all(leader: Leader, grace_s: float, settle_s: float = 2.0) -> list[int]:
    """End all processes that descend from `leader`; return the ids of those that still run.

    First TERM to the leader, which is expected to end its children in its own order. Then TERM to
    the other processes once the leader has ended, at the latest after `PASSED_ON_S` or half of
    `grace_s`, but not to the leader's children: many programs take a second TERM for "at once".
    `grace_s` seconds after the first TERM, KILL to all but the leader, which has `settle_s` seconds
    to record how they ended. Then KILL until no process is left (at most 10 s: a process in an
    uninterruptible call cannot be killed).
    """
    until = time.monotonic() + grace_s
    if leader.identity.lives():
        _signal([leader.identity.pid], signal.SIGTERM)
        _gone(leader.identity.lives, min(grace_s / 2, PASSED_ON_S))
    asked = leader.identity.pid if leader.identity.lives() else None
    rest = [pid for pid in members(leader) if asked is None or asked not in (pid, _parent(pid))]
    _signal(rest, signal.SIGTERM)
    if _gone(lambda: members(leader), until - time.monotonic()):
        return []
    _signal((pid for pid in members(leader) if pid != leader.identity.pid), signal.SIGKILL)
    if leader.identity.lives() and _gone(lambda: members(leader), settle_s):
        return []
    until = time.monotonic() + 10
    while (remaining := members(leader)) and time.monotonic() < until:
        _signal(remaining, signal.SIGKILL)
        time.sleep(LOOK_S)
    return remaining


def _parent(pid: int) -> int:
    fields = stat_of(pid)
    return int(fields[1]) if fields else 0


def _gone(check: Callable[[], object], seconds: float) -> bool:
    """Wait until `check` returns nothing; return whether that happened in time."""
    until = time.monotonic() + seconds
    while check():
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_S)
    return True


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # the process has ended meanwhile


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208


def _marked(pid: int, mark: str) -> bool:
    """Whether a process has `mark` in its environment; False if this user may not read it."""
    try:
        return os.fsencode(mark) in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
