"""The name of a process, different for each process, and whether that process still runs."""

from __future__ import annotations

import socket

import psutil


def owner_name() -> str:
    """Return the name of this process: host, process id, start time."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def owner_gone(owner: str) -> bool:
    """Whether `owner` was a process of this machine that has ended (False when unknown)."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    started = owner.rpartition(":")[2]
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        process = psutil.Process(int(rest))
        return (
            abs(process.create_time() - float(started)) > 1
            or process.status() == psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return True
