"""Processes of this machine: start a program in its own session, find its processes, end them all.

A process id alone does not identify a process: the system reuses ids. Here a process is identified
by its id, its start time in clock ticks since boot, and the boot. Reads `/proc` (Linux).
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

PROC: Final = Path("/proc")
LOOK_S: Final = 0.05
"""Seconds between two checks while waiting for processes to end."""
PASSED_ON_S: Final = 1.0
"""Seconds that a program has to end its children before they get a signal too."""


@dataclass(frozen=True)
class Leader:
    """The first process of a session."""

    pid: int
    started: int
    """Start of the process in clock ticks since boot."""
    boot_id: str
    mark: str
    """`NAME=value` in the environment of all its descendants."""


def boot_id() -> str:
    """Return the id of this machine's current boot."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return "unknown"


def start_detached(
    argv: Sequence[str], *, env: Mapping[str, str], stdin: IO[str], messages: Path
) -> subprocess.Popen[bytes]:
    """Start a program that outlives this process: own session, no terminal, no file but `stdin`.

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
        )
    threading.Thread(target=child.wait, name=f"reap-{child.pid}", daemon=True).start()
    return child


def start_ticks(pid: int) -> int | None:
    """Return a process's start in clock ticks since boot; None if it has ended or is a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def seconds_since(ticks: int) -> float:
    """Seconds since a start time in clock ticks; a change of the system clock has no effect."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def lives(leader: Leader) -> bool:
    """Whether the process still runs."""
    return leader.boot_id == boot_id() and start_ticks(leader.pid) == leader.started


def members(leader: Leader) -> list[int]:
    """Return the ids of all running processes that descend from `leader`, and the leader's id.

    These processes are in the leader's session, or have left it and carry the leader's mark. A
    later session may have the same id: the system does not reuse the id while a process of the old
    session runs, so a running process with this id and another start time means that the old
    session is gone. If the leader has ended, only the mark counts.
    """
    if leader.boot_id != boot_id():
        return []
    present = start_ticks(leader.pid)
    found = []
    for pid in _all_pids():
        fields = _stat(pid)
        if fields is None or fields[0] in "ZX" or int(fields[19]) < leader.started:
            continue
        in_session = present == leader.started and int(fields[3]) == leader.pid
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
    if lives(leader):
        _signal([leader.pid], signal.SIGTERM)
        _gone(lambda: lives(leader), min(grace_s / 2, PASSED_ON_S))
    asked = leader.pid if lives(leader) else None
    rest = [pid for pid in members(leader) if asked is None or asked not in (pid, _parent(pid))]
    _signal(rest, signal.SIGTERM)
    if _gone(lambda: members(leader), until - time.monotonic()):
        return []
    _signal((pid for pid in members(leader) if pid != leader.pid), signal.SIGKILL)
    if lives(leader) and _gone(lambda: members(leader), settle_s):
        return []
    until = time.monotonic() + 10
    while (remaining := members(leader)) and time.monotonic() < until:
        _signal(remaining, signal.SIGKILL)
        time.sleep(LOOK_S)
    return remaining


def _parent(pid: int) -> int:
    fields = _stat(pid)
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


def _stat(pid: int) -> list[str] | None:
    """Return the fields of `/proc/<pid>/stat` from the third (state) on; None: no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _marked(pid: int, mark: str) -> bool:
    """Whether a process has `mark` in its environment; False if this user may not read it."""
    try:
        return os.fsencode(mark) in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
