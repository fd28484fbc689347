"""Which process it is, told so that no other process is taken for it, and whether it still lives.

A process id alone says little: the system reuses ids, a container counts from 1, a clone of a
machine has the same host name and the same ids. No clock of the wall takes part: it may be set
while a process runs. Reads `/proc` (Linux); elsewhere nothing is known of any process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

PROC: Final = Path("/proc")

State = Literal["alive", "stopped", "gone", "unknown"]
"""`stopped`: it lives, and does nothing until it is continued (Ctrl-Z). `unknown`: it cannot be
seen from here, because it belongs to another boot, machine or container."""


@dataclass(frozen=True)
class Identity:
    """A process, as every process of every machine can tell it from all others."""

    pid: int
    """As processes of `space` see it; 0: nothing is known of the process."""
    started: int
    """Start in clock ticks since boot."""
    boot_id: str
    """The boot of its machine; it has not outlived this boot. Empty: unknown."""
    space: str
    """The namespaces that its `pid` and `started` count in, `<PID namespace>.<time namespace>`."""

    def state(self) -> State:
        """Whether the process lives, as far as this process can see."""
        if not self.seen_from_here():
            return "unknown"
        fields = stat_of(self.pid)
        if fields is None:
            return "unknown" if _hidden(self.pid) else "gone"
        if fields[0] in "ZX" or int(fields[19]) != self.started:
            return "gone"
        return "stopped" if fields[0] == "T" else "alive"

    def seen_from_here(self) -> bool:
        """Whether this process sees the processes of the same boot and namespaces."""
        return self.pid > 0 and self.boot_id != "" and (self.boot_id, self.space) == _here()

    def lives(self) -> bool:
        """Whether the process is known to live."""
        return self.state() in ("alive", "stopped")


def own_identity() -> Identity:
    """Return the identity of this process; without boot and space where they cannot be read."""
    boot, space = _here()
    fields = stat_of(os.getpid()) if boot else None
    return Identity(os.getpid(), int(fields[19]) if fields else 0, boot, space)


def boot_id() -> str:
    """Return the id of this machine's current boot."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return "unknown"


def stat_of(pid: int) -> list[str] | None:
    """Return the fields of `/proc/<pid>/stat` from the third (state) on; None: none to be seen."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _here() -> tuple[str, str]:
    """Boot and namespaces of this process; empty if `/proc` is not of this process's namespace."""
    own = PROC / "self"
    try:
        if str(own.readlink()) != str(os.getpid()):
            return "", ""
        space = f"{_number(own / 'ns/pid')}.{_number(own / 'ns/time')}"
    except OSError:
        return "", ""
    return boot_id(), space


def _number(namespace: Path) -> int:
    """Return the number of a namespace of this boot; 0: this kernel has no such namespaces."""
    try:
        return namespace.stat().st_ino
    except FileNotFoundError:
        return 0


def _hidden(pid: int) -> bool:
    """Whether there is a process that `/proc` does not show (its mount option `hidepid`)."""
    try:
        os.kill(pid, 0)  # asks only whether there is such a process
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
