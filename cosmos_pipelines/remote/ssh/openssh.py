"""The system's OpenSSH as a second connection to a host, for large files; all processes share it.

OpenSSH moves two to three times as many bytes a second as paramiko, outside of the Python process:
benchmarks/bench_transfer.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Final, Self

from cosmos_pipelines.remote.ssh.config import Target
from cosmos_pipelines.remote.ssh.shell import Call, Output, call

MOST_SAID: Final = 1 << 20
"""Bytes of standard error that are read, the first ones."""
KEEP_S: Final = 60
"""Seconds after its last use at which the shared connection ends by itself."""

AGAIN_S: Final = 300.0
"""Seconds after which a failed connection is tried again."""

END_S: Final = 2.0
"""Seconds that the end of the shared connection may take."""

_ENDED: Final = "the shared connection ended as soon as it was there"

SOCKET_LIMIT: Final = 104
"""Most bytes of a socket's path; ssh adds 17 while it makes the socket."""

PIPE: Final = 1 << 20
"""Bytes that a pipe to or from ssh holds, so that both ends work at the same time."""

_OPTIONS: Final = (
    "BatchMode=yes",
    "Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com",
    "Compression=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "LogLevel=ERROR",
    f"ControlPersist={KEEP_S}",
)


class Started:
    """A program on the host, run by a local `ssh` process.

    The program's input is `source`, a file that ssh itself reads, or the pipe `input`.
    """

    def __init__(self, ssh: Sequence[str], command: Call, source: IO[bytes] | None = None) -> None:
        self._mark = command.err_mark
        self.own = Output(command.out_mark)
        """Parts the program's bytes of `output` from what the login shell has printed."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [*ssh, command.line],
            stdin=source or subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
        )
        assert self._process.stdout is not None
        self.output: IO[bytes] = self._process.stdout
        self.input = self._process.stdin
        for pipe in filter(None, (self.input, self.output)):
            with contextlib.suppress(OSError):  # larger than the limit of this user
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE)
        if self.input:
            os.set_blocking(self.input.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def close_input(self) -> None:
        """Close the program's input."""
        if self.input:
            self.input.close()

    def wait(self, timeout_s: float) -> tuple[int | None, bytes]:
        """Return the exit code (None if the program does not end in time) and standard error.

        If the program was not started, standard error is what the login shell or ssh has printed.
        """
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None, b""
        self._errors.seek(0)
        errors = self._errors.read(MOST_SAID)
        noise, begun, own = errors.partition(self._mark)
        return code, own if begun else noise

    def __exit__(self, *_: object) -> None:
        """End the local process: a program that still reads gets the end of its input."""
        self.close_input()
        self.output.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._errors.close()


class OpenSsh:
    """The connection to a host through the system's `ssh`.

    All users of the same target share the connection, also from other processes.
    """

    def __init__(self, target: Target, directory: Path | None = None) -> None:
        words = _words(target)
        self._words = words
        # Not below the project or TMPDIR: their paths may be too long for a socket.
        self._directory = directory or Path(f"/tmp/cosmos-ssh-{os.getuid()}")  # noqa: S108
        name = hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
        self._socket = self._directory / name
        self._lock = threading.Lock()
        self.problem: str | None = None
        """Why the connection cannot be used; None if it can, as far as is known."""
        self._failed_at = 0.0

    @staticmethod
    @lru_cache
    def of(target: Target) -> OpenSsh:
        """Return the only `OpenSsh` of this process for a target."""
        return OpenSsh(target)

    @property
    def open(self) -> bool:
        """Whether the shared connection is open, also by another process."""
        return self._socket.exists()

    def usable(self) -> bool:
        """Open the shared connection if needed; False, with `problem` set, if that fails."""
        with self._lock:
            if self.problem and time.monotonic() - self._failed_at < AGAIN_S:
                return False
            self.problem = None if self._answers() else self._connect()
            if self.problem == _ENDED:  # by another process, in the moment of its use
                self.problem = self._connect()
            self._failed_at = time.monotonic()
            return self.problem is None

    def start(self, argv: Sequence[str], source: IO[bytes] | None = None) -> Started:
        """Start a program on the host; use it in a `with`."""
        return Started([*self._ssh("no"), *self._words], call(argv), source)

    def close(self) -> None:
        """End the shared connection and all programs that use it."""
        if self.open:
            self._control("exit")
            until = time.monotonic() + END_S
            while self.open and time.monotonic() < until:
                time.sleep(0.01)

    def _answers(self) -> bool:
        return self.open and self._control("check") == 0

    def _control(self, command: str) -> int:
        words = [*self._ssh("no"), "-O", command, *self._words]
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, check=False
        ).returncode

    def _connect(self) -> str | None:
        """Open the shared connection; return the reason if that fails."""
        if shutil.which("ssh") is None:
            return "ssh is not installed"
        if why := self._prepare():
            return why
        # A file: the connection stays in the background and would keep a pipe open.
        with tempfile.TemporaryFile() as errors:
            done = subprocess.run(
                [*self._ssh("auto"), *self._words, "true"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                check=False,
            )
            if done.returncode == 0:
                return None if self._answers() else _ENDED
            errors.seek(0)
            lines = errors.read().decode(errors="replace").split("\n")
            return next((line.strip() for line in lines if line.strip()), "ssh failed")

    def _prepare(self) -> str | None:
        if len(os.fsencode(self._socket)) + 17 > SOCKET_LIMIT:
            return f"the path {self._socket} is too long for a socket"
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            facts = self._directory.lstat()
        except OSError as e:
            return f"{self._directory}: {e.strerror}"
        own = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
        if not own or facts.st_mode & 0o077:
            return f"other users can use {self._directory}"
        return None

    def _ssh(self, master: str) -> list[str]:
        """Return the beginning of a command line; `master`: whether the command may open the shared
        connection, which goes on in the background and keeps standard error open."""
        options = (*_OPTIONS, f"ControlMaster={master}", f"ControlPath={self._socket}")
        return ["ssh", "-T", *(word for option in options for word in ("-o", option))]


def _words(target: Target) -> list[str]:
    """Return options and destination, the same as for paramiko."""
    options = [
        f"ConnectTimeout={max(1, round(target.connect_timeout_s))}",
        f"ServerAliveInterval={max(1, round(target.lost_after_s / 3))}",
        "ServerAliveCountMax=3",
    ]
    if target.known_hosts:
        options += [f'UserKnownHostsFile="{target.known_hosts}"', "GlobalKnownHostsFile=none"]
    return [
        *(["-F", str(target.config_file)] if target.config_file else []),
        *(["-l", target.user] if target.user else []),
        *(["-p", str(target.port)] if target.port else []),
        *(["-i", str(target.key_file)] if target.key_file else []),
        *(word for option in options for word in ("-o", option)),
        "--",
        target.host,
    ]
