"""Processes of this machine: start them in a session of their own, know them again, end them all.

Mechanics only. A process id alone means little: ids are given again. Here a process is known by its
id, its start time in clock ticks since boot, and the boot. Reads `/proc` (Linux).
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
"""Seconds between two looks while waiting for processes to go."""
PASSED_ON_S: Final = 1.0
"""Seconds that a program which was asked to end has before what it started is asked too."""


@dataclass(frozen=True)
class Leader:
    """The first process of a session that was made for one purpose."""

    pid: int
    started: int
    """Clock ticks since boot."""
    boot_id: str
    mark: str
    """`NAME=value` in the environment of all that descend from it."""


def boot_id() -> str:
    """Which boot of this machine this is."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return "unknown"


def start_detached(
    argv: Sequence[str], *, env: Mapping[str, str], stdin: IO[str], messages: Path
) -> subprocess.Popen[bytes]:
    """Start a program that outlives us: own session, no terminal, nothing of ours open but `stdin`.

    What it says goes to the file `messages`. It is reaped when it ends while we live.

    Raises:
        OSError: it cannot be started.
    """
    with messages.open("ab") as said:
        child = subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=stdin,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    threading.Thread(target=child.wait, name=f"reap-{child.pid}", daemon=True).start()
    return child


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def seconds_since(ticks: int) -> float:
    """Seconds from a start time in clock ticks until now; setting the clock changes nothing."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def lives(leader: Leader) -> bool:
    """Whether this very process is still running."""
    return leader.boot_id == boot_id() and start_ticks(leader.pid) == leader.started


def members(leader: Leader) -> list[int]:
    """Ids of all living processes that come from `leader`, itself included.

    They are in its session, or carry its mark after they left it. A later session that got the same
    number is told apart: the id cannot be given again while one of the old session lives, so a
    living process of that id with another start time means that the old one is gone; where the
    leader itself is gone, the mark decides.
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
    """End everything that comes from `leader`; returns the ids of what is still there.

    TERM to the leader, which is expected to pass it on to its children: a program that is asked
    first can end what it started in its own order. TERM to all the others once the leader is gone,
    at the latest after `PASSED_ON_S` or half the grace, but not to its children: many programs take
    a second one for "at once". `grace_s` seconds after the first, KILL to all but the leader, which
    has `settle_s` seconds to record how they ended; then KILL until nothing is left (at most 10 s:
    a process in an uninterruptible call cannot be killed).
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
    while (left := members(leader)) and time.monotonic() < until:
        _signal(left, signal.SIGKILL)
        time.sleep(LOOK_S)
    return left


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _gone(look: Callable[[], object], seconds: float) -> bool:
    """Wait until `look` finds nothing; whether it came to that in time."""
    until = time.monotonic() + seconds
    while look():
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_S)
    return True


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it ended by itself meanwhile


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208


def _stat(pid: int) -> list[str] | None:
    """Fields of `/proc/<pid>/stat` from the third (state) on; None if there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _marked(pid: int, mark: str) -> bool:
    """Whether a process has `mark` in its environment; not if we may not look."""
    try:
        return os.fsencode(mark) in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
