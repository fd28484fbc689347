"""One host and what can happen to it: link cut, power gone, servers dead, disk full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.rig.image import Images
from tests.rig.link import Link
from tests.rig.machine import SCRIPTS, Machine, run, until

__all__ = ["Host", "run", "until"]


class Host(Machine):
    """A host: `gpu1`, address `10.77.<slot>.11`, users root, ops (may use Docker), nobodyd."""

    def __init__(self, name: str, place: Path, link: Link, images: Images) -> None:
        super().__init__(name, place, link)
        self._images = images
        self._filled: Path | None = None
        self._live_restore = False
        self.whole = True
        """Nothing was done to it since it was healed."""

    def power_off(self) -> None:
        """Cut the power: everything in it dies at once and says nothing on the wire."""
        super().power_off()
        self._live_restore = False  # it was written to a layer in memory

    # Link -------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Cut its link: nothing goes in or out, and nobody is told."""
        self.link.cut()

    def mend(self) -> None:
        """Mend its link."""
        self.link.mend()

    def slow(self, rate: str | None) -> None:
        """Limit its link in both directions, as `1mbit`; None: as fast as it can."""
        self.link.slow(rate)

    # Servers ----------------------------------------------------------------------------------

    def stop_sshd(self) -> None:
        """End sshd and all its sessions at once; the port is closed then."""
        self.kill(*self.pids("sshd"), *self.pids("sshd-session"))
        until(lambda: not self.pids("sshd"), f"the end of {self.name}'s sshd")

    def start_sshd(self) -> None:
        """Start sshd."""
        self.console("sh", "/opt/rig/service.sh", "ssh")
        until(lambda: self.port_open(22), f"{self.name}'s sshd")

    def restart_sshd(self) -> None:
        """Kill sshd with all its sessions and start it again; the host key stays."""
        self.stop_sshd()
        self.start_sshd()

    def new_host_key(self) -> None:
        """Give it other host keys, as a host that was installed anew has."""
        for kind in ("ed25519", "ecdsa"):
            key = f"/system/ssh/host_{kind}"
            self.console("rm", "-f", key, f"{key}.pub")
            self.console("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key)
        self.restart_sshd()

    def stop_docker(self, *, crash: bool = False) -> None:
        """Stop the Docker daemon; with `crash` by kill -9, so that it stops no container."""
        pids = self.pids("dockerd") + (self.pids("containerd") if crash else [])
        self.kill(*pids, number=signal.SIGKILL if crash else signal.SIGTERM)
        until(lambda: not self.pids("dockerd"), f"the end of {self.name}'s Docker daemon")
        until(lambda: not self.pids("containerd"), f"the end of {self.name}'s containerd")

    def start_docker(self) -> None:
        """Start the Docker daemon."""
        self.console("sh", "/opt/rig/service.sh", "docker")
        until(self.docker_answers, f"{self.name}'s Docker daemon")

    def restart_docker(self, live_restore: bool = False, *, crash: bool = False) -> None:
        """Restart the Docker daemon, which keeps containers running only with `live_restore`.

        Without it they are stopped (`crash`: killed when the daemon comes up again).
        """
        self._set_live_restore(live_restore)
        self.stop_docker(crash=crash)
        self.start_docker()

    def _set_live_restore(self, wanted: bool) -> None:
        if wanted == self._live_restore:
            return
        text = json.dumps({"live-restore": wanted})
        self.console("sh", "-c", "mkdir -p /etc/docker; cat > /etc/docker/daemon.json",
                     input=text.encode())  # fmt: skip
        self.kill(*self.pids("dockerd"), number=signal.SIGHUP)
        answer = ["info", "--format", "{{.LiveRestoreEnabled}}"]
        until(lambda: self.docker(*answer) == str(wanted).lower(), "the new setting")
        self._live_restore = wanted

    # Disk and GPU -----------------------------------------------------------------------------

    def fill_disk(self, leave_bytes: int = 0, where: str = "/data") -> None:
        """Leave so many bytes on a disk: /data (6 GiB), or that of /home and /var/lib/docker."""
        self.free_disk()
        place = self.root / where.strip("/")
        filler = place / ".filler"
        disk = os.statvfs(place)
        wanted, at = disk.f_bavail * disk.f_frsize - leave_bytes, 0
        with filler.open("wb") as file:
            for step in (1 << 28, 1 << 20, 1 << 12):
                while at + step <= wanted:
                    try:
                        os.posix_fallocate(file.fileno(), at, step)
                    except OSError:  # the file system needs some of it for itself
                        break
                    at += step
        self._filled = Path(where.strip("/")) / ".filler"

    def free_disk(self) -> None:
        """Remove what `fill_disk` wrote."""
        if self._filled is not None:
            (self.root / self._filled).unlink(missing_ok=True)
            self._filled = None

    def gpu(self, csv: str | None = None, *, broken: bool = False) -> None:
        """Let the simulated nvidia-smi answer these rows (None: its own), or fail."""
        rig = self.root / "opt/rig"
        (rig / "gpu.csv").unlink(missing_ok=True)
        (rig / "gpu-broken").unlink(missing_ok=True)
        if csv is not None:
            (rig / "gpu.csv").write_text(csv)
        if broken:
            (rig / "gpu-broken").touch()

    def without_gpu(self) -> None:
        """Take nvidia-smi away: a host without GPU. `heal` brings it back."""
        (self.root / "usr/local/bin/nvidia-smi").unlink(missing_ok=True)

    # Images -----------------------------------------------------------------------------------

    def image(self, name: str) -> str:
        """The id of an image in its daemon, made offline: `preview` or `busybox`."""
        reference = f"cosmos-rig/{name}:1"
        known = self.docker("images", "--quiet", "--no-trunc", reference)
        if not known:
            with self._images.tar(name).open("rb") as tar:
                self._import(tar.fileno(), reference)
            known = self.docker("images", "--quiet", "--no-trunc", reference)
        return known

    def _import(self, tar: int, reference: str) -> None:
        enter = ["nsenter", "-t", str(self._first_pid()), "-m", "-n", "-p", "-r", "-w"]
        done = subprocess.run(
            [*enter, "/usr/bin/docker", "import", "-", reference],
            stdin=tar, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    # Between tests ----------------------------------------------------------------------------

    def heal(self) -> None:
        """Undo what a test did to power, link, servers, disks and GPU; containers and files go."""
        if self._machine is not None and self._first_pid() is None:
            self.power_off()  # a boot that failed
        if self._machine is None:
            self.boot()
        else:
            self.mend()
            self.slow(None)
            self._revive()
        self.free_disk()
        self.gpu()
        shutil.copy2(SCRIPTS / "nvidia-smi", self.root / "usr/local/bin/nvidia-smi")
        if containers := self.docker("ps", "--all", "--quiet").split():
            self.docker("rm", "--force", *containers)
        self.console("sh", "-c", "rm -rf /data/* /data/.[!.]* /home/ops/* /home/nobodyd/* /root/*")
        self.whole = True

    def _revive(self) -> None:
        if not self.pids("sshd"):
            self.start_sshd()
        if not self.pids("dockerd"):
            self.start_docker()
        self.wait()
        self._set_live_restore(False)
