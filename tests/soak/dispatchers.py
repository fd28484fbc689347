"""The dispatchers: processes that are killed with -9 and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil


class Dispatcher:
    """A daemon of Dagster, or a `cosmos queue work`."""

    def __init__(self, name: str, words: list[str], home: Path, env: dict[str, str]) -> None:
        self.name, self.kills = name, 0
        self._words, self._home, self._env = words, home, env
        self._log = home.parent / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._words],
                cwd=self._home, env=self._env, stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    @property
    def ended(self) -> int | None:
        """Its exit code if it has ended by itself."""
        return self._process.poll() if self._process else None

    @property
    def said(self) -> str:
        """What it and its processes have written."""
        return self._log.read_text(errors="replace")

    def kill(self, *, whole: bool) -> int:
        """Kill it with -9, `whole`: with all that it has started; return how many were killed."""
        assert self._process is not None
        victims = [psutil.Process(self._process.pid)]
        if whole:
            victims += victims[0].children(recursive=True)
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        self._process.wait()
        self._process = None
        self.kills += 1
        return len(victims)

    def end(self) -> None:
        """Ask it to end as a person does, and wait for it."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self.name.startswith("worker"):
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def dispatchers(home: Path, env: dict[str, str], workers: int) -> list[Dispatcher]:
    """Dagster's daemon, which also takes the scenes, and so many workers."""
    work = ["cosmos_pipelines.cli", "queue", "work", "--keep-on"]
    return [
        Dispatcher("daemon", ["cosmos_pipelines.daemon"], home, env),
        *(Dispatcher(f"worker{n}", work, home, env) for n in range(1, workers + 1)),
    ]


def left_behind(home: Path, within_s: float) -> list[str]:
    """Return the processes that still work in the project after so many seconds, and end them."""
    end = time.monotonic() + within_s
    while (found := _in(home)) and time.monotonic() < end:
        time.sleep(0.5)
    said = []
    for process in found:
        with suppress(psutil.Error):
            said.append(" ".join(process.cmdline())[:150])
            process.kill()
    return said


def _in(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and Path(process.cwd()) == home:
                found.append(process)
    return found
