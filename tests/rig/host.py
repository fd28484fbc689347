"""A host and its faults: link cut, power off, servers stopped, disk full."""

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
        """Whether no test has used the host since the last healing."""

    def power_off(self) -> None:
        """Cut the power: all processes of the host die at once and send nothing."""
        super().power_off()
        self._live_restore = False  # the setting was in a layer in memory

    # Link -------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Cut the host's link: no packet goes in or out, and no connection gets an error."""
        self.link.cut()

    def mend(self) -> None:
        """Mend the host's link."""
        self.link.mend()

    def slow(self, rate: str | None) -> None:
        """Limit the host's link in both directions, as `1mbit`; None: no limit."""
        self.link.slow(rate)

    # Servers ----------------------------------------------------------------------------------

    def stop_sshd(self) -> None:
        """End sshd and all its sessions at once; the port is closed afterwards."""
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
        """Give the host new host keys, as after a new installation."""
        for kind in ("ed25519", "ecdsa"):
            key = f"/system/ssh/host_{kind}"
            self.console("rm", "-f", key, f"{key}.pub")
            self.console("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key)
        self.restart_sshd()

    def refuse_logins(self) -> None:
        """End all sessions and let no user in any more, as after a change of the keys."""
        self.console("mv", "/home/ops/.ssh/authorized_keys", "/home/ops/.ssh/away")
        self.restart_sshd()

    def allow_logins(self) -> None:
        """Let users in again."""
        self.console("mv", "/home/ops/.ssh/away", "/home/ops/.ssh/authorized_keys")

    def show_other_key(self) -> None:
        """End all sessions and show another host key than before, as another machine does."""
        self.console("cp", "-a", "/system/ssh", "/system/ssh.own")
        self.new_host_key()

    def show_own_key(self) -> None:
        """Show the host key from before `show_other_key` again."""
        self.console("sh", "-c", "rm -rf /system/ssh && mv /system/ssh.own /system/ssh")
        self.restart_sshd()

    def shell_runs(self, line: str) -> None:
        """Let the login shell of ops run this line first, from its .bashrc."""
        (self.root / "home/ops/.bashrc").write_text(f"{line}\n")

    def shell_is_plain(self) -> None:
        """Undo `shell_runs`."""
        (self.root / "home/ops/.bashrc").unlink(missing_ok=True)

    def forbid_docker(self) -> None:
        """Let only root use the Docker daemon's socket."""
        self.console("chmod", "600", "/run/docker.sock")

    def allow_docker(self) -> None:
        """Let the group docker use the Docker daemon's socket again."""
        self.console("chmod", "660", "/run/docker.sock")

    def stop_docker(self, *, crash: bool = False) -> None:
        """Stop the Docker daemon; with `crash` by kill -9, so that no container is stopped."""
        pids = self.pids("dockerd") + (self.pids("containerd") if crash else [])
        self.kill(*pids, number=signal.SIGKILL if crash else signal.SIGTERM)
        until(lambda: not self.pids("dockerd"), f"the end of {self.name}'s Docker daemon")
        until(lambda: not self.pids("containerd"), f"the end of {self.name}'s containerd")

    def freeze_docker(self) -> None:
        """Let the Docker daemon hang: it answers nothing, and containers go on."""
        self.kill(*self.pids("dockerd"), number=signal.SIGSTOP)

    def thaw_docker(self) -> None:
        """Let the frozen Docker daemon continue."""
        self.kill(*self.pids("dockerd"), number=signal.SIGCONT)

    def start_docker(self) -> None:
        """Start the Docker daemon."""
        self.console("sh", "/opt/rig/service.sh", "docker")
        until(self.docker_answers, f"{self.name}'s Docker daemon")

    def restart_docker(self, live_restore: bool = False, *, crash: bool = False) -> None:
        """Restart the Docker daemon; with `live_restore` the containers keep running.

        Without `live_restore` the containers are stopped (`crash`: killed at the daemon's start).
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
        """Fill a disk except for `leave_bytes`: /data (6 GiB), or the disk of /home and Docker."""
        self.free_disk()
        place = self.root / where.strip("/")
        filler = place / ".filler"
        disk = os.statvfs(place)
        wanted, filled = disk.f_bavail * disk.f_frsize - leave_bytes, 0
        with filler.open("wb") as file:
            for step in (1 << 28, 1 << 20, 1 << 12):
                while filled + step <= wanted:
                    try:
                        os.posix_fallocate(file.fileno(), filled, step)
                    except OSError:  # the file system needs some bytes for itself
                        break
                    filled += step
        self._filled = Path(where.strip("/")) / ".filler"

    def free_disk(self) -> None:
        """Remove the file that `fill_disk` wrote."""
        if self._filled is not None:
            (self.root / self._filled).unlink(missing_ok=True)
            self._filled = None

    def gpu(
        self, csv: str | None = None, *, broken: bool = False, lost_inside: bool = False
    ) -> None:
        """Let the simulated nvidia-smi print these rows (None: the default row), or fail.

        `lost_inside`: only in containers, which have no access to the host's GPUs.
        """
        rig = self.root / "opt/rig"
        (rig / "gpu.csv").unlink(missing_ok=True)
        (rig / "gpu-broken").unlink(missing_ok=True)
        if csv is not None:
            (rig / "gpu.csv").write_text(csv)
        (rig / "gpu-lost-inside").unlink(missing_ok=True)
        if broken:
            (rig / "gpu-broken").touch()
        if lost_inside:
            (rig / "gpu-lost-inside").touch()

    def without_gpu(self) -> None:
        """Remove nvidia-smi: a host without GPU. `heal` restores it."""
        (self.root / "usr/local/bin/nvidia-smi").unlink(missing_ok=True)

    # Images -----------------------------------------------------------------------------------

    def image(self, name: str) -> str:
        """Return the id of an image (`busybox`, `preview`, `models`), imported if missing."""
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
        """Restore power, link, servers, disks, GPU and Docker; remove all containers and files."""
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
        (self.root / "usr/local/bin/docker").unlink(missing_ok=True)  # a test's wrapper
        if containers := self.docker("ps", "--all", "--quiet").split():
            self.docker("rm", "--force", *containers)
        self.console("sh", "-c", "rm -rf /data/* /data/.[!.]* /home/ops/* /home/nobodyd/* /root/*")
        self.whole = True

    def _revive(self) -> None:
        self.shell_is_plain()
        if (self.root / "home/ops/.ssh/away").exists():
            self.allow_logins()
        if (self.root / "system/ssh.own").exists():
            self.show_own_key()
        self.thaw_docker()
        if not self.pids("sshd"):
            self.start_sshd()
        if not self.pids("dockerd"):
            self.start_docker()
        self.wait()
        self.allow_docker()
        self._set_live_restore(False)
