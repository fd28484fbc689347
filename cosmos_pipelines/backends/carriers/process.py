"""An order as a process of this machine: `run.sh` in a session of its own, and all it starts.

It outlives the process that started it. It is known by (`Handle.marks`) `pid`, which leads the
session, and `started`, its start in clock ticks since boot, which tells it from a later process of
this id.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.remote import process

START_S: Final = 30.0
"""Seconds that run.sh may take to say that it has started (measured: 0.02)."""


def marks_of(pid: int, started: int) -> Mapping[str, str]:
    """What a process is known by."""
    return {"pid": str(pid), "started": str(started)}


def start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    lock: IO[str],
    messages: Path,
    find: Callable[[], Handle | None],
    order_id: str,
) -> Handle:
    """Start `/bin/sh` with these words, and wait until `find` sees that it has the order.

    Args:
        environment: besides this, it gets nothing of ours but the PATH: the same for whoever
            starts it.
        lock: its standard input.
        messages: the file for what it says if it refuses.

    Raises:
        BackendError: `launch_failed`, it could not be started.
    """
    try:
        child = process.start_detached(
            ["/bin/sh", *argv], env=_environment(environment), stdin=lock, messages=messages
        )
    except OSError as e:
        raise BackendError("launch_failed", f"Cannot start /bin/sh: {e.strerror}.") from e
    try:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            ended = child.returncode is not None
            if handle := find():
                return handle
            if ended:
                said = messages.read_text(encoding="utf-8", errors="replace").strip()
                raise BackendError(
                    "launch_failed", f"run.sh did not start {order_id}: {said or 'nothing said'}"
                )
            time.sleep(0.002)
        raise BackendError("launch_failed", f"run.sh did not start {order_id} in {START_S:g} s.")
    except BaseException:
        child.kill()
        raise


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join(os.get_exec_path()),
        "HOME": str(Path.home()),
        "TMPDIR": tempfile.gettempdir(),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        **own,
    }


def is_alive(handle: Handle) -> bool:
    """Whether its first process runs."""
    return process.lives(_leader(handle))


def running_s(handle: Handle) -> float:
    """Seconds since its start; an order of an earlier boot counts from this boot on."""
    same_boot = handle.boot_id == process.boot_id()
    return process.seconds_since(int(handle.marks["started"]) if same_boot else 0)


def end_rest(handle: Handle) -> None:
    """As with a container: when the first process has ended, all of them have."""
    if process.members(_leader(handle)):
        end(handle, 0)


def end(handle: Handle, grace_s: float) -> None:
    """Ask all its processes to end, kill them after `grace_s`, return when they are gone.

    Raises:
        BackendError: `lost`, some cannot be killed.
    """
    try:
        left = process.end_all(_leader(handle), grace_s)
    except KeyboardInterrupt:  # the user does not want to wait for its grace
        process.end_all(_leader(handle), 0)
        raise
    if left:
        raise BackendError(
            "lost",
            f"Processes {left} of order {handle.order_id} cannot be killed.",
            hint="They wait for a device or a network disk; this machine may need a restart.",
        )


def _leader(handle: Handle) -> process.Leader:
    mark = f"COSMOS_RUN_DIR={handle.run_dir}"
    marks = handle.marks
    return process.Leader(int(marks["pid"]), int(marks["started"]), handle.boot_id, mark)
