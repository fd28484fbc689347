"""A machine made of namespaces: its power, and commands on its console."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.rig.link import Link
from tests.support.waiting import until

__all__ = ["Machine", "run", "until"]

SCRIPTS: Final = Path(__file__).parent / "host"
SYSTEM_SIZE: Final = "24G"  # sparse: only written blocks take space
DATA_SIZE: Final = "6G"
REMOVED: Final = ("sh", "-c", 'until rm -rf "$1" 2>/dev/null; do :; done', "sh")
"""A command that removes a directory, also one in which programs make files meanwhile."""


def run(argv: Sequence[str | Path], *, input: bytes | None = None, timeout_s: float = 60) -> bytes:
    """Run a program; return its standard output. Raises RuntimeError with the program's message."""
    given = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(
        [str(word) for word in argv],
        capture_output=True, check=False, timeout=timeout_s, **given,  # type: ignore[call-overload]
    )  # fmt: skip
    if done.returncode != 0:
        message = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise RuntimeError(f"{' '.join(map(str, argv))} ended with {done.returncode}: {message}")
    return bytes(done.stdout)


class Machine:
    """A host: `gpu1`, address `10.77.<slot>.11`, users root, ops (may use Docker), nobodyd."""

    def __init__(self, name: str, place: Path, link: Link) -> None:
        self.name = name
        self.address = link.address
        self.link = link
        self._place = place
        self._machine: subprocess.Popen[bytes] | None = None

    # Power ------------------------------------------------------------------------------------

    def prepare(self, public_key: str) -> None:
        """Make the host's disks."""
        (self._place / "root").mkdir(parents=True)
        (self._place / "authorized_keys").write_text(public_key)
        for disk, size in (("system", SYSTEM_SIZE), ("data", DATA_SIZE)):
            image = self._place / f"{disk}.img"
            run(["truncate", "-s", size, image])
            run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", "-E",
                 "lazy_itable_init=1,nodiscard", image])  # fmt: skip

    def boot(self, *, wait: bool = True) -> None:
        """Power the host on, with the disks as they are; nothing if it is on."""
        if self._machine is None:
            self.link.create()
            with (self._place / "boot.log").open("ab") as log:
                # Not `ip netns exec`: it mounts /sys again, which hides the cgroups.
                self._machine = subprocess.Popen(
                    ["nsenter", f"--net=/run/netns/{self.link.name}", "unshare", "--mount", "--uts",
                     "--ipc", "--pid", "--fork", "--kill-child", "--propagation", "private",
                     "sh", str(SCRIPTS / "boot.sh"), self.name, str(self._place), str(SCRIPTS),
                     self.link.name],
                    stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return when sshd and the Docker daemon answer."""
        try:
            until(self.docker_answers, f"{self.name}'s Docker daemon")
            until(lambda: self.port_open(22), f"{self.name}'s sshd")
        except TimeoutError as e:
            log = (self._place / "boot.log").read_text(errors="replace")
            raise RuntimeError(f"{e}\n{log}") from None

    def power_off(self) -> None:
        """Cut the power: all processes of the host die at once and send nothing."""
        if self._machine is None:
            return
        self.link.cut()
        first = self._first_pid()
        if first is not None:
            os.kill(first, signal.SIGKILL)
        assert self._machine.stdin is not None
        self._machine.stdin.close()
        self._machine.wait(30)
        self._machine = None
        self.link.remove()

    @property
    def on(self) -> bool:
        """Whether the host has power."""
        return self._machine is not None

    def _first_pid(self) -> int | None:
        """Return this machine's pid of the host's process 1; None if it does not run."""
        if self._machine is None or self._machine.poll() is not None:
            return None
        pid = self._machine.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    # Inside -----------------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """The host's root as a path of this machine; absolute links lead out of it."""
        return Path(f"/proc/{self._first_pid()}/root")

    def console(self, *argv: str, input: bytes | None = None, timeout_s: float = 60) -> bytes:
        """Run a program as root on the host's console, without network; return standard output."""
        enter = ["nsenter", "-t", str(self._first_pid()), "-m", "-u", "-i", "-n", "-p", "-r", "-w"]
        # The host has no namespace of cgroups. PATH needs /usr/sbin.
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return run([*enter, "env", "-i", path, *argv], input=input, timeout_s=timeout_s)

    def remove(self, path: str) -> None:
        """Remove a directory of the host."""
        self.console(*REMOVED, path)

    def docker(self, *argv: str, input: bytes | None = None, timeout_s: float = 120) -> str:
        """Run `docker` on the host's console; return the output."""
        return self.console("docker", *argv, input=input, timeout_s=timeout_s).decode().strip()

    def docker_answers(self) -> bool:
        """Whether the host's Docker daemon answers a ping."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(self.root / "run/docker.sock"))
                client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in client.recv(100)
            except OSError:
                return False

    def port_open(self, port: int) -> bool:
        """Whether a program listens on a port of the host's address."""
        try:
            with socket.create_connection((self.address, port), timeout=1):
                return True
        except OSError:
            return False

    def pids(self, program: str) -> list[int]:
        """Return the host's pids of its processes with this name."""
        found = []
        for status in (self.root / "proc").glob("[0-9]*/comm"):
            try:
                if status.read_text().strip() == program:
                    found.append(int(status.parent.name))
            except OSError:
                continue  # the process has just ended
        return found

    def processes(self, words: str) -> list[int]:
        """Return the host's pids of its processes with these words in the command line."""
        found = []
        for file in (self.root / "proc").glob("[0-9]*/cmdline"):
            try:
                line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if words in line:
                found.append(int(file.parent.name))
        return found

    def kill(self, *pids: int, number: int = signal.SIGKILL) -> None:
        """Signal processes by the host's pids; ended processes are no failure."""
        for pid in pids:
            self.console("sh", "-c", f"kill -{int(number)} {pid} 2>/dev/null || true")
