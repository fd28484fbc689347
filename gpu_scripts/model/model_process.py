"""Start programs, read their output, stop them, and leave none of their processes behind.

Runs on the GPU side: Python 3.10 or newer and its standard library only; Linux.

Each program has its own session. torchrun gives each of its workers another session, so a signal to
torchrun's process group does not reach the workers; if torchrun is killed, they live on and keep
the GPU's memory. So this process adopts processes whose parent has died, and ends them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

TICK_S = 0.2
"""Seconds between two checks if nothing happens."""
GRACE_S = 8.0
"""Seconds that a program may take to end after a signal to stop."""
SETTLE_S = 5.0
"""Seconds that a killed process may take to end."""
SIGNAL_S = 0.5
"""Seconds in which a signal to all processes also reaches this process, after a child ended."""
PR_SET_CHILD_SUBREAPER = 36

Bytes = Callable[[bytes], None]
Tick = Callable[[], None]


class Stopped(Exception):
    """TERM or INT has come; what is finished stays."""


class Ran(NamedTuple):
    """The exit code and the output of a short program."""

    code: int
    out: str
    err: str


class Processes:
    """Starts programs, and passes the first TERM or INT on to all of them."""

    def __init__(self) -> None:
        self.asked: int | None = None
        """The signal to stop, once it has come."""
        self._asked_at = 0.0
        self._running: set[int] = set()
        self._lock = threading.Lock()

    def catch_signals(self) -> None:
        """Pass TERM and INT on from now on; this process ends after its programs."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._heard)
        libc = ctypes.CDLL(None)  # without the call (no Linux), nothing is adopted
        if hasattr(libc, "prctl"):
            libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self.asked is None:  # many programs take a second signal for "at once"
            self.asked, self._asked_at = number, time.monotonic()
            for pid in tuple(self._running):
                _signal_group(pid, number)

    def was_stopped(self, code: int) -> bool:
        """Whether a program with this exit code ended because of a signal to stop.

        A signal to all processes may end the program a moment before it reaches this process.
        """
        until = time.monotonic() + (SIGNAL_S if code else 0)
        while self.asked is None and time.monotonic() < until:
            time.sleep(0.02)
        return self.asked is not None

    def listen(self, argv: Sequence[str], heard: Bytes, tick: Tick) -> int:
        """Run a program to its end; return its exit code, below 0 if a signal ended the program.

        `heard` gets the bytes of both outputs at once; `tick` is called after that, and at least
        every `TICK_S` seconds. No process of the program is left when this returns or raises.

        Raises:
            OSError: the program cannot be started.
            Stopped: a signal to stop came before the start.
        """
        program = self._start(argv, stderr=subprocess.STDOUT)
        assert program.stdout is not None
        try:
            os.set_blocking(program.stdout.fileno(), False)
            self._follow(program, program.stdout.fileno(), heard, tick)
            return program.returncode
        finally:
            self._end(program)
            self.sweep()
            program.stdout.close()

    def _follow(
        self, program: subprocess.Popen[bytes], output: int, heard: Bytes, tick: Tick
    ) -> None:
        ended_at: float | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                ready = bool(selector.select(TICK_S))
                data = os.read(output, 1 << 16) if ready else b""
                if data:
                    heard(data)
                elif ready:  # all writers have closed the output
                    selector.unregister(output)
                tick()
                self._hurry(program)
                if program.poll() is None:
                    continue
                if ready and not data:
                    return
                if not data:
                    # A process still holds the output that should have ended with the program.
                    ended_at = ended_at or time.monotonic()
                    self.sweep()
                    if not selector.get_map() or time.monotonic() - ended_at > SETTLE_S:
                        return

    def run(self, argv: Sequence[str]) -> Ran:
        """Run a short program to its end.

        Raises:
            OSError: the program cannot be started.
            Stopped: the program did not finish because of a signal to stop.
        """
        program = self._start(argv, stderr=subprocess.PIPE)
        try:
            while True:
                try:
                    out, err = program.communicate(timeout=TICK_S)
                    break
                except subprocess.TimeoutExpired:
                    self._hurry(program)
        finally:
            self._end(program)
        if program.returncode and self.was_stopped(program.returncode):
            raise Stopped
        return Ran(
            program.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
        )

    def _start(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.asked:
                raise Stopped
            program = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,
                **options,
            )
            self._running.add(program.pid)
        if self.asked:  # the signal came between the check and the start
            _signal_group(program.pid, self.asked)
        return program

    def _hurry(self, program: subprocess.Popen[bytes]) -> None:
        """Kill the program if it has not ended in time after the signal."""
        if self.asked and time.monotonic() - self._asked_at > GRACE_S:
            self._kill(program)

    def _kill(self, program: subprocess.Popen[bytes]) -> None:
        if program.poll() is None:
            family = descendants(program.pid)
            _signal_group(program.pid, signal.SIGKILL)
            _kill_all(family)

    def _end(self, program: subprocess.Popen[bytes]) -> None:
        """Kill the program if it still runs, and forget it."""
        self._kill(program)
        program.wait()
        self._running.discard(program.pid)

    def close(self) -> None:
        """Kill all programs that still run: this process is about to end."""
        for pid in tuple(self._running):
            family = descendants(pid)
            _signal_group(pid, signal.SIGKILL)
            _kill_all(family)
        self.sweep()

    def sweep(self) -> None:
        """End and reap adopted children: processes that a model left behind."""
        until = time.monotonic() + SETTLE_S
        with self._lock:
            while strays := set(children(os.getpid())) - self._running:
                for pid in strays:
                    _kill_all([pid, *descendants(pid)])
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)
                if time.monotonic() > until:  # a process is in a driver call that does not return
                    return
                time.sleep(0.01)


def children(parent: int) -> list[int]:
    """Return the ids of the children of a process, zombies included."""
    return [pid for pid, of in _parents() if of == parent]


def descendants(ancestor: int) -> list[int]:
    """Return the ids of all descendants of a process."""
    parents = dict(_parents())
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {ancestor})


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                stat = (entry / "stat").read_text(errors="replace")
                yield int(entry.name), int(stat[stat.rindex(")") + 2 :].split()[1])


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _kill_all(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
