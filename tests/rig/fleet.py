"""The fleet: hosts gpu1, gpu2, ... on a separate network, and the SSH files of a client.

Several sessions on one machine take different slots, hence different names and addresses. The hosts
of a killed session end with the session, because each lives as long as a pipe from it; files and
links that remain are removed when another session takes the slot.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from pathlib import Path
from typing import IO, Final

from tests.rig.host import Host, run
from tests.rig.image import Images
from tests.rig.link import Bridge, Link

PLACE: Final = Path("/var/tmp/cosmos-rig")
SLOTS: Final = 8
NEEDED: Final = (
    *("ip", "tc", "nsenter", "unshare", "mkfs.ext4", "dockerd", "/usr/bin/docker", "runc", "sshd"),
    *("containerd", "docker-init", "iptables", "busybox", "ssh", "ssh-keygen", "ssh-agent"),
)


def missing() -> str | None:
    """Return why the rig cannot run on this machine; None if it can."""
    if os.geteuid() != 0:
        return "the rig makes hosts of namespaces, which needs root"
    if absent := [program for program in NEEDED if not _which(program)]:
        return f"the rig needs {', '.join(absent)}: run tests/rig/install.sh"
    try:
        run(["unshare", "--mount", "--uts", "--ipc", "--pid", "--net", "--fork",
             "mount", "-t", "tmpfs", "tmpfs", "/mnt"])  # fmt: skip
    except RuntimeError as e:
        return f"namespaces and mounts are not allowed here: {e}"
    return None


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Fleet:
    """Hosts by name in `hosts`; a client's files: key, known_hosts, ssh configuration."""

    def __init__(self, count: int = 2) -> None:
        self._lock, slot = _take_slot()
        self._place = PLACE / str(slot)
        self._bridge = Bridge(slot)
        self._sweep()
        self.client = self._place / "client"
        self.client.mkdir(parents=True)
        images = Images(self._place)
        self.hosts = {
            name: Host(name, self._place / name, Link(self._bridge, number), images)
            for number, name in enumerate((f"gpu{n + 1}" for n in range(count)), 1)
        }

    @property
    def key(self) -> Path:
        """The private key of every user of every host, without passphrase."""
        return self.client / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The file of the fleet's host keys."""
        return self.client / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """A client's configuration: aliases gpu1, gpu2, ...; user ops; the key."""
        return self.client / "config"

    def start(self) -> None:
        """Boot all hosts; return when all answer."""
        self._bridge.create()
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key])
        public = self.key.with_suffix(".pub").read_text()
        for host in self.hosts.values():
            host.prepare(public)
            host.boot(wait=False)
        self.ssh_config.write_text("".join(self._alias(host) for host in self.hosts.values()))
        for host in self.hosts.values():
            host.wait()
        self.learn_host_keys()

    def _alias(self, host: Host) -> str:
        return (
            f"Host {host.name}\n  HostName {host.address}\n  User ops\n"
            f"  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  StrictHostKeyChecking yes\n"
        )

    def learn_host_keys(self) -> None:
        """Read the hosts' keys on their consoles and write them to `known_hosts`."""
        lines = []
        for host in self.hosts.values():
            keys = host.console("sh", "-c", "cat /system/ssh/*.pub").decode().splitlines()
            lines += [f"{host.address} {' '.join(key.split()[:2])}\n" for key in keys]
        self.known_hosts.write_text("".join(lines))

    def stop(self) -> None:
        """End all hosts and remove their files, links and cgroups."""
        try:
            for host in self.hosts.values():
                host.power_off()
        finally:
            self._sweep()
            self._lock.close()

    def _sweep(self) -> None:
        """Remove processes, links, cgroups and files of this slot, also of an earlier session."""
        for pid in _processes_of(self._place):
            os.kill(pid, signal.SIGKILL)
        for number in range(1, 10):
            link = Link(self._bridge, number)
            link.remove()
            groups = Path("/sys/fs/cgroup")
            for group in (groups / link.name, *groups.glob(f"*/{link.name}")):
                _remove_group(group)
        self._bridge.remove()
        shutil.rmtree(self._place, ignore_errors=True)


def _take_slot() -> tuple[IO[str], int]:
    PLACE.mkdir(parents=True, exist_ok=True)
    for slot in range(SLOTS):
        lock = (PLACE / f"{slot}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return lock, slot
    raise RuntimeError(f"all {SLOTS} slots of the rig are taken (see {PLACE})")


def _processes_of(place: Path) -> list[int]:
    """Return the pids of a slot's hosts on this machine: `unshare ... boot.sh NAME PLACE ...`."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"unshare") and any(
            w.startswith(os.fsencode(f"{place}/")) for w in words
        ):
            found.append(int(file.parent.name))
    return found


def _remove_group(group: Path) -> None:
    for directory, _, _ in os.walk(group, topdown=False):
        os.rmdir(directory)  # noqa: PTH106
