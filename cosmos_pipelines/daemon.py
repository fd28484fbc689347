"""Dagster's daemon as a child of the page: it ends when the page does, however that ends.

The child reads its stdin, which nobody writes to: its end says that the page is gone, also after a
SIGKILL. Only the daemon itself is ended. The processes of runs that it launched go on, and so do
their containers; the next daemon finds them again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.files import writing
from cosmos_pipelines.resources.instance import daemon_reference, open_instance
from cosmos_pipelines.settings import Settings, environment_of, load_settings

GRACE_S: Final = 15
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
ASK_S: Final = 1
"""How often the daemon looks which sensors are due."""
LOG_BYTES: Final = 10_000_000
"""Beyond this the log begins anew (Dagster writes every event of every run there)."""
LOCK: Final = "daemon.lock"
"""A file in Dagster's directory, which the page whose daemon runs keeps locked."""
LOOK_S: Final = 1.0
"""Seconds between two looks at whether the daemon of another page has ended."""
LOG_LOOK_S: Final = 60.0
"""Seconds between two looks at how long the log is."""
WORKSPACE: Final = Path(__file__).with_name("workspace.yaml")
"""What page and daemon load; one file, so that both know the code by the same name."""


class Daemon:
    """Keeps one daemon running; a context manager. One that dies is started again, ever later."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="daemon", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of the daemon that runs now."""
        child = self._child
        return child.pid if child and child.poll() is None else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._child is not None:
            _end(self._child)
        self._thread.join()

    def _keep(self) -> None:
        with one_holder(self._settings.dagster_dir / LOCK) as mine:
            if mine() or self._await(mine):
                self._keep_one()

    def _await(self, mine: Callable[[], bool]) -> bool:
        """Wait until the daemon of another page has ended; False if this page ends before."""
        said = "Another `cosmos ui` keeps Dagster's daemon for this project"
        self._say(f"{said}. This page uses that one, and starts its own when that one ends.")
        while not self._ending.wait(LOOK_S):
            if mine():
                self._say("The other daemon has ended. Starting one.")
                return True
        return False

    def _keep_one(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._ending.is_set():
            self._child = self._start()
            if self._ending.is_set():  # asked to end in this very moment
                _end(self._child)
            code = self._end_of(self._child)
            if self._ending.is_set():
                return
            said = f"Dagster's daemon ended with exit code {code}; see {self._log}."
            self._say(f"{said} Starting another.")
            self._ending.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    @property
    def _log(self) -> Path:
        return self._settings.dagster_dir / "daemon.log"

    def _end_of(self, child: subprocess.Popen[bytes]) -> int:
        """Return the exit code when the daemon has ended; meanwhile its log stays bounded."""
        while True:
            try:
                return child.wait(LOG_LOOK_S)
            except subprocess.TimeoutExpired:
                _bound(self._log)

    def _start(self) -> subprocess.Popen[bytes]:
        _bound(self._log)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "cosmos_pipelines.daemon"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._settings.home,
                env={**environment_of(self._settings)},
                start_new_session=True,  # Ctrl-C in the page's terminal is the page's
            )


@contextmanager
def one_holder(path: Path) -> Iterator[Callable[[], bool]]:
    """Give what tries to lock a file and says whether this process holds it; free it at the end.

    A lock of POSIX: a process that is forked does not get it, and it ends with its process. On a
    disk that knows no locks everybody holds it.
    """
    with path.open("ab") as file:

        def mine() -> bool:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                return error.errno not in (errno.EACCES, errno.EAGAIN)
            return True

        yield mine


def _bound(log: Path) -> None:
    """Keep a long log as `daemon.log.1`, and begin it anew: all who have it open append to it."""
    try:
        if log.stat().st_size <= LOG_BYTES:
            return
        with suppress(CosmosError), writing(log.with_name("daemon.log.1")) as part:  # a full disk
            shutil.copyfile(log, part)
        os.truncate(log, 0)
    except OSError:  # it is not there yet, or belongs to somebody else: the daemon goes on
        return


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close its stdin, which asks it to end; kill it if it does not."""
    if child.stdin:
        with suppress(BrokenPipeError):
            child.stdin.close()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main() -> None:
    """Run the daemon until stdin ends."""
    from cosmos_pipelines.resources.dagster_private import FORK_RUNS, run_daemon

    os.environ[FORK_RUNS] = "1"
    threading.Thread(target=_watch_stdin, daemon=True).start()
    settings = load_settings()
    with open_instance(settings):  # made whole before the daemon's threads open it
        reference = daemon_reference(settings)
    run_daemon(["run", "-w", str(WORKSPACE), "--log-level", "warning"], reference, ask_s=ASK_S)


def _watch_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
