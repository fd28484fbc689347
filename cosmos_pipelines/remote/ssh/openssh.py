"""The system's OpenSSH as a second way to a host, for bulk: one connection that all share.

It moves two to three times as much a second as paramiko, and none of it in our interpreter:
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
from cosmos_pipelines.remote.ssh.connection import command_line

KEEP_S: Final = 60
"""Seconds that the shared connection outlives its last use; nobody needs to end it."""

AGAIN_S: Final = 300.0
"""Seconds after which a way that failed is tried again."""

END_S: Final = 2.0
"""Seconds that its end may take."""

SOCKET_LIMIT: Final = 104
"""Bytes of a socket's path; ssh adds 17 while it makes it."""

PIPE: Final = 1 << 20
"""Bytes that a pipe to or from ssh holds, so that both ends work at the same time."""

_OPTIONS: Final = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
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
    """A program on the host: the `ssh` process that stands for it.

    Its input is `source`, a file that ssh reads by itself, or the pipe `input`.
    """

    def __init__(self, argv: Sequence[str], source: IO[bytes] | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            list(argv),
            stdin=source or subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
        )
        assert self._process.stdout is not None
        self.output: IO[bytes] = self._process.stdout
        self.input = self._process.stdin
        for pipe in filter(None, (self.input, self.output)):
            with contextlib.suppress(OSError):  # more than this user may have
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE)
        if self.input:
            os.set_blocking(self.input.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def close_input(self) -> None:
        """No more comes."""
        if self.input:
            self.input.close()

    def wait(self, timeout_s: float) -> tuple[int | None, bytes]:
        """Its exit code, None if it does not end in time, and its standard error."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None, b""
        self._errors.seek(0)
        return code, self._errors.read()

    def __exit__(self, *_: object) -> None:
        """Let go of it: a program that still reads finds the end of its input."""
        self.close_input()
        self.output.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._errors.close()


class OpenSsh:
    """A host as the system's `ssh` reaches it.

    Whoever asks for the same target, also from another process, shares the connection.
    """

    def __init__(self, target: Target, directory: Path | None = None) -> None:
        words = _words(target)
        self._words = words
        # Not below the project or TMPDIR: their paths can be longer than a socket's may be.
        self._directory = directory or Path(f"/tmp/cosmos-ssh-{os.getuid()}")  # noqa: S108
        name = hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
        self._socket = self._directory / name
        self._lock = threading.Lock()
        self.problem: str | None = None
        """Why it cannot be used; None while it can, as far as is known."""
        self._failed_at = 0.0

    @staticmethod
    @lru_cache
    def of(target: Target) -> OpenSsh:
        """The one of this process."""
        return OpenSsh(target)

    @property
    def open(self) -> bool:
        """Whether somebody has opened the shared connection already."""
        return self._socket.exists()

    def usable(self) -> bool:
        """Open the shared connection if it is not; False, with `problem` set, if that fails."""
        with self._lock:
            if self.problem and time.monotonic() - self._failed_at < AGAIN_S:
                return False
            self.problem = None if self._answers() else self._connect()
            self._failed_at = time.monotonic()
            return self.problem is None

    def start(self, argv: Sequence[str], source: IO[bytes] | None = None) -> Started:
        """Start a program on the host; use it in a `with`."""
        return Started([*self._ssh("no"), *self._words, command_line(argv)], source)

    def close(self) -> None:
        """End the shared connection, with all that runs over it."""
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
        """Open the shared connection; says why it cannot be done."""
        if shutil.which("ssh") is None:
            return "there is no ssh"
        if why := self._prepare():
            return why
        # A file: the connection stays in the background and would keep a pipe open.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [*self._ssh("auto"), *self._words, "true"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                check=False,
            )
            if done.returncode == 0 and self._answers():
                return None
            said.seek(0)
            lines = said.read().decode(errors="replace").split("\n")
            return next((line.strip() for line in lines if line.strip()), "ssh failed")

    def _prepare(self) -> str | None:
        if len(os.fsencode(self._socket)) + 17 > SOCKET_LIMIT:
            return f"{self._socket} is too long for a socket"
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            facts = self._directory.lstat()
        except OSError as e:
            return f"{self._directory}: {e.strerror}"
        ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
        if not ours or facts.st_mode & 0o077:
            return f"{self._directory} is open to others"
        return None

    def _ssh(self, master: str) -> list[str]:
        """The beginning of a command line. Only one that is waited for may become the shared
        connection: that goes on in the background and keeps standard error open."""
        options = (*_OPTIONS, f"ControlMaster={master}", f"ControlPath={self._socket}")
        return ["ssh", "-T", *(word for option in options for word in ("-o", option))]


def _words(target: Target) -> list[str]:
    """Options and destination: what paramiko is told of a target as well."""
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
