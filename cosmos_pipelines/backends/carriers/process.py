"""An order as processes of this machine: `run.sh` in its own session, and what `run.sh` starts.

The order outlives the process that started it. `Handle.marks` holds `pid`, the session's leader,
and `started`, the leader's start in clock ticks since boot: a later process may get the same `pid`.
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
"""Seconds that run.sh may take to write the `pid` file (measured: 0.02)."""


def marks_of(pid: int, started: int) -> Mapping[str, str]:
    """Return the `Handle.marks` of a process."""
    return {"pid": str(pid), "started": str(started)}


def start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    lock: IO[str],
    messages: Path,
    find: Callable[[], Handle | None],
    order_id: str,
) -> Handle:
    """Start `/bin/sh` with these arguments, and wait until `find` returns the order's handle.

    Args:
        environment: the variables of the order; of this process's environment, only the PATH is
            added, so that the order runs the same for every caller.
        lock: the standard input of the order.
        messages: the file for the message of run.sh if it refuses to start.

    Raises:
        BackendError: `launch_failed`, the order could not be started.
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
                message = messages.read_text(encoding="utf-8", errors="replace").strip()
                raise BackendError(
                    "launch_failed", f"run.sh did not start {order_id}: {message or 'no message'}"
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
    """Whether the order's first process runs."""
    return process.lives(_leader(handle))


def running_s(handle: Handle) -> float:
    """Seconds since the order's start; an order of an earlier boot counts from this boot on."""
    same_boot = handle.boot_id == process.boot_id()
    return process.seconds_since(int(handle.marks["started"]) if same_boot else 0)


def end_rest(handle: Handle) -> None:
    """End the order's other processes after the first one has ended, as Docker does."""
    if process.members(_leader(handle)):
        end(handle, 0)


def end(handle: Handle, grace_s: float) -> None:
    """Ask all processes of the order to end, kill them after `grace_s`, return when they are gone.

    Raises:
        BackendError: `lost`, some processes cannot be killed.
    """
    try:
        remaining = process.end_all(_leader(handle), grace_s)
    except KeyboardInterrupt:  # the user does not want to wait for `grace_s`
        process.end_all(_leader(handle), 0)
        raise
    if remaining:
        raise BackendError(
            "lost",
            f"Processes {remaining} of order {handle.order_id} cannot be killed.",
            hint="They wait for a device or a network disk; this machine may need a restart.",
        )


def _leader(handle: Handle) -> process.Leader:
    mark = f"COSMOS_RUN_DIR={handle.run_dir}"
    marks = handle.marks
    return process.Leader(int(marks["pid"]), int(marks["started"]), handle.boot_id, mark)
