"""An order as processes of this machine: `run.sh` in its own session, and what `run.sh` starts.

The order outlives the process that started it. With `Handle.boot_id`, `Handle.marks` holds the
identity of the session's leader: `pid`, `started` and `space`. The file `alive` of the run folder
is open in all processes of the order, and locked as long as one of them runs: this tells also in
another container, which does not see the processes.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.run_folder import ALIVE
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.identity import Identity, boot_id, own_identity
from cosmos_pipelines.remote import process

START_S: Final = 30.0
"""Seconds that run.sh may take to write the `pid` file (measured: 0.02)."""


def marks_of(leader: Identity) -> Mapping[str, str]:
    """Return the `Handle.marks` of a process; a run.sh of earlier versions told no `space`."""
    space = leader.space or own_identity().space
    return {"pid": str(leader.pid), "started": str(leader.started), "space": space}


def start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    lock: IO[str],
    run_dir: Path,
    messages: Path,
    find: Callable[[], Handle | None],
    order_id: str,
) -> Handle:
    """Start `/bin/sh` with these arguments, and wait until `find` returns the order's handle.

    Args:
        environment: the variables of the order; of this process's environment, only the PATH is
            added, so that the order runs the same for every caller.
        lock: the standard input of the order.
        run_dir: the run folder, where `alive` is made.
        messages: the file for the message of run.sh if it refuses to start.

    Raises:
        BackendError: `launch_failed`, the order could not be started.
        OSError: no room on the disk of the run folder.
    """
    try:
        with _locked(run_dir / ALIVE) as alive:
            child = process.start_detached(
                ["/bin/sh", *argv],
                env=_environment(environment),
                stdin=lock,
                messages=messages,
                kept=alive,
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
                if not message:
                    messages.write_text("\n")  # fails on a full disk, where run.sh could not say so
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


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open and lock a file; whoever inherits the open file keeps it locked."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def is_alive(handle: Handle) -> bool:
    """Whether the order's first process runs; in another container, whether any of them runs."""
    state = _leader(handle).identity.state()
    return state in ("alive", "stopped") or (state == "unknown" and _is_locked(handle))


def is_here(handle: Handle) -> bool:
    """Whether this process sees the order's processes, and can end them."""
    return _leader(handle).identity.seen_from_here()


def _is_locked(handle: Handle) -> bool:
    try:
        with (Path(handle.run_dir) / ALIVE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def running_s(handle: Handle) -> float:
    """Seconds since the order's start; an order of an earlier boot counts from this boot on."""
    same_boot = handle.boot_id == boot_id()
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
    except Exception:
        raise
    except BaseException:  # the user does not want to wait for `grace_s`
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
    identity = Identity(int(marks["pid"]), int(marks["started"]), handle.boot_id, marks["space"])
    return process.Leader(identity, mark)
