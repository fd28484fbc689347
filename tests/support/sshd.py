"""A real OpenSSH server on the loopback for a test session, as the user who runs the tests."""

from __future__ import annotations

import getpass
import random
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import until

PROGRAM = Path("/usr/sbin/sshd")
START_S = 10.0

_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {base}/host_key
PidFile {base}/sshd.pid
AuthorizedKeysFile {base}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
MaxStartups 100
MaxSessions 10
LogLevel ERROR
SetEnv HOME={home}
"""

_CLIENT = """\
Host loop
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {base}/key
    IdentitiesOnly yes
    UserKnownHostsFile {base}/known_hosts
    StrictHostKeyChecking yes
    BatchMode yes
"""


@dataclass(eq=False)
class Sshd:
    """The server's address, and the files for a login."""

    port: int
    user: str
    base: Path
    """Directory of `key`, `known_hosts` and `config`, a client's configuration with host `loop`."""
    home: Path
    """The home directory of the user who logs in; empty at the start."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """Path of the configuration for `ssh -F`."""
        return self.base / "config"

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def start(self, lines: str = "") -> None:
        """Start the server; `lines` of its configuration win over those that it has."""
        config = self.base / "sshd_config"
        if lines:
            config = self.base / "sshd_config.changed"
            config.write_text(_first(lines, (self.base / "sshd_config").read_text()))
        Path("/run/sshd").mkdir(exist_ok=True)  # for privilege separation; needs root
        with (self.base / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(PROGRAM), "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        process = self._process
        until(
            lambda: process.poll() is not None or _answers(self.port),
            f"sshd on port {self.port}",
        )
        assert process.poll() is None, (self.base / "log").read_text()

    def end(self) -> None:
        """End the server with all connections."""
        if self._process is not None:
            if self._process.poll() is None:
                self.cut()
            self._process.terminate()
            self._process.wait()
            self._process = None

    def cut(self) -> None:
        """End all connections at once; the server and the started programs continue."""
        for child in psutil.Process(self.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # the child ended with its parent
                if child.name().startswith("sshd"):
                    child.kill()


def _key(path: Path) -> str:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(words, check=True)
    return path.with_suffix(".pub").read_text()


def _write(base: Path, port: int, more: Callable[[Path], str]) -> Sshd:
    host_key = " ".join(_key(base / "host_key").split()[:2])
    _key(base / "key")
    (base / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    home = base / "home"
    home.mkdir()
    facts = {"port": port, "user": getpass.getuser(), "base": base, "home": home}
    (base / "sshd_config").write_text(_first(more(base), _SERVER.format(**facts) + _penalties()))
    (base / "config").write_text(_CLIENT.format(**facts))
    return Sshd(port, facts["user"], base, home)


def _first(own: str, others: str) -> str:
    """Join lines of a configuration, without the others of the same keywords.

    sshd takes the first line of most keywords, and the last of some (MaxStartups).
    """
    taken = {line.split()[0] for line in own.splitlines() if line.strip()}
    rest = [line for line in others.splitlines() if line and line.split()[0] not in taken]
    return "\n".join([*own.splitlines(), *rest, ""])


@cache
def _penalties() -> str:
    """Since OpenSSH 9.8 an address is shut out for a while after logins that were refused."""
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", said)
    new = found is not None and (int(found[1]), int(found[2])) >= (9, 8)
    return "PerSourcePenalties no\n" if new else ""


def _free_port() -> int:
    """Below the ports that the system gives to clients, who may take a free one meanwhile."""
    while True:
        port = random.randrange(20000, 32000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
            return link.recv(4) == b"SSH-"
    except OSError:
        return False


@contextmanager
def running_sshd(more: Callable[[Path], str] = lambda _: "") -> Iterator[Sshd]:
    """Start a server; end the server with all connections after the block.

    `more`: makes lines of its configuration, which win, when `Sshd.base` has the keys.
    """
    base = Path(tempfile.mkdtemp(prefix="sshd-"))
    sshd = _write(base, _free_port(), more)
    try:
        sshd.start()
        yield sshd
    finally:
        sshd.end()
        shutil.rmtree(base, ignore_errors=True)


def require_sshd() -> None:
    """Skip the test, with the reason, if no server can run here."""
    if not PROGRAM.exists():
        pytest.skip("no sshd (Debian: apt-get install openssh-server)")
    if not Path("/run/sshd").exists() and getpass.getuser() != "root":
        pytest.skip("/run/sshd is missing, and only root can make it")


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """A server for the whole session."""
    require_sshd()
    with running_sshd() as server:
        yield server
