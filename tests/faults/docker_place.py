"""A host of the rig as the place of a run: `ssh_docker`."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from tests.faults.place import Place
from tests.rig.fleet import Fleet
from tests.rig.host import Host, until
from tests.support.gpu_host import ROOT, SETTINGS
from tests.support.strangers import stranger

SLOW: Final = "2mbit"
DOCKER: Final = """#!/bin/sh
# Says something first, and answers late: a started container runs for a while before the answer.
[ ! -e /opt/rig/said ] || cat /opt/rig/said
/usr/bin/docker "$@"; code=$?
while [ "$1" = run ] && [ -e /opt/rig/hold ]; do sleep 0.02; done
exit $code
"""
_SPOIL: Final = "for f; do printf X | dd of=$f bs=1 conv=notrunc; done"


class DockerPlace(Place):
    """A run in containers on a host of the rig."""

    backend: ClassVar[str] = "ssh_docker"
    recorded: ClassVar[tuple[str, ...]] = ("container_id", "image_digest", "host")
    stand_in = "/models/model.py"
    gate_there = "/models/gate"

    def __init__(
        self,
        home: Path,
        fill: Callable[[], None],
        fleet: Fleet,
        host: Host,
        wait_s: float,
        *,
        catalog_apart: bool = False,
    ) -> None:
        super().__init__(home, fill)
        self.host = host
        self._strangers: list[socket.socket] = []
        self._prepare_host()
        text = SETTINGS.format(config=fleet.ssh_config, wait_s=wait_s, lost_after_s=3)
        text = text.replace("connect_timeout_s = 3", "connect_timeout_s = 2")
        text = text.replace(':/models:ro"]', ':/models:ro", "/home/ops/starts:/starts"]')
        self.make_project(text, catalog_apart=catalog_apart)

    @property
    def models(self) -> Path:
        """See `Place.models`; of the host as it is now: it is another after a power cut."""
        return self.host.root / "data/models"

    def _prepare_host(self) -> None:
        self.host.image("preview")
        root = self.host.root
        self.models.mkdir()
        for program in (ROOT / "tests/models/stand_in.py", ROOT / "tests/faults/model.py"):
            (self.models / program.name).write_bytes(program.read_bytes())
        starts = root / "home/ops/starts"
        starts.mkdir()
        starts.chmod(0o777)
        self.close_gate()
        self.say(None)
        docker = root / "usr/local/bin/docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)

    def close(self) -> None:
        """See `Place.close`; the host is as before, too."""
        super().close()
        self.host.heal()

    # The model, and what is left: as in `Place` -----------------------------------------------

    def open_gate(self) -> None:
        if self.host.on:
            super().open_gate()

    def starts(self) -> list[str]:
        log = self.host.root / "home/ops/starts/log"
        return log.read_text().split() if log.exists() else []

    def hold_answers(self) -> None:
        (self.host.root / "opt/rig/hold").touch()

    def release_answers(self) -> None:
        if self.host.on:
            (self.host.root / "opt/rig/hold").unlink(missing_ok=True)

    def files(self) -> Path:
        return self.host.root / "data/cosmos"

    def slow_link(self) -> None:
        self.host.slow(SLOW)

    def usual_link(self) -> None:
        if self.host.on:
            self.host.slow(None)

    def containers(self, *, running: bool = False) -> list[str]:
        which = [] if running else ["--all"]
        return self.host.docker("ps", *which, "--format={{.Names}}").split()

    # The link and sshd ------------------------------------------------------------------------

    def cut(self) -> None:
        """Cut the link."""
        self.host.cut()

    def mend(self) -> None:
        """Mend the link."""
        self.host.mend()
        until(lambda: self.host.port_open(22), "the mended link")

    def end_connections(self) -> None:
        """End all connections; sshd takes new ones."""
        listener = int((self.host.root / "run/sshd.pid").read_text())
        self.host.kill(*(pid for pid in self.host.pids("sshd") if pid != listener))

    def stop_sshd(self) -> None:
        """End sshd and its sessions."""
        self.host.stop_sshd()

    def start_sshd(self) -> None:
        """Start sshd again."""
        self.host.start_sshd()

    def restart_sshd(self) -> None:
        """End sshd and its sessions, and start it with its usual limits."""
        self.host.restart_sshd()

    def _limit(self, name: str, value: int) -> None:
        """End sshd with all sessions and start it with another limit."""
        self.host.stop_sshd()
        config = (self.host.root / "opt/rig/sshd_config").read_text()
        lines = [line for line in config.splitlines() if not line.startswith(name)]
        text = "\n".join([*lines, f"{name} {value}", ""])
        self.host.console("sh", "-c", "cat >/tmp/limited; mkdir -p /run/sshd", input=text.encode())
        self.host.console("/usr/sbin/sshd", "-f", "/tmp/limited", "-E", "/var/log/sshd.log")
        until(lambda: self.host.port_open(22), "sshd")

    def occupy_logins(self) -> None:
        """Let sshd drop whoever comes, since another one is logging in for ever (MaxStartups)."""
        self._limit("MaxStartups", 1)
        self._strangers.append(stranger(self.host.address, 22))

    def free_logins(self) -> None:
        """Let the other one go after 1 s."""
        time.sleep(1)
        self._strangers.pop().close()

    def one_session(self) -> None:
        """Let sshd have one session in a connection (MaxSessions)."""
        self._limit("MaxSessions", 1)

    def refuse_logins(self) -> None:
        """End the sessions and refuse every login."""
        self.host.refuse_logins()

    def allow_logins(self) -> None:
        """Let users in again."""
        self.host.allow_logins()

    def show_other_key(self) -> None:
        """End the sessions and show another host key."""
        self.host.show_other_key()

    def show_own_key(self) -> None:
        """Show the first host key again."""
        self.host.show_own_key()

    def shell_prints(self) -> None:
        """Let the shell print a line at every login; what follows the log is ended."""
        self.host.shell_runs("echo Welcome to gpu1")
        self.host.restart_sshd()

    def let_no_process_start(self) -> None:
        """Let the login user start no more processes; what follows the log is ended."""
        self.host.shell_runs("ulimit -u 1")
        self.host.restart_sshd()

    def shell_is_plain(self) -> None:
        """Let the shell do nothing at a login."""
        self.host.shell_is_plain()

    # Docker -----------------------------------------------------------------------------------

    def say(self, text: str | None) -> None:
        """Let Docker print this on standard output before each answer; None: only the answer."""
        said = self.host.root / "opt/rig/said"
        if text is None:
            said.unlink(missing_ok=True)
        else:
            said.write_text(text)

    def stop_carrier(self) -> None:
        """Stop the Docker daemon, whose containers live on."""
        self.host._set_live_restore(True)
        self.host.stop_docker()

    def stop_docker(self) -> None:
        """Stop the Docker daemon with all containers."""
        self.host.stop_docker()

    def start_carrier(self) -> None:
        """Start the Docker daemon."""
        self.host.start_docker()

    def halt_carrier(self) -> None:
        """Let the Docker daemon hang; containers go on."""
        self.host.freeze_docker()

    def resume_carrier(self) -> None:
        """Let the Docker daemon continue."""
        self.host.thaw_docker()

    def end_order(self) -> None:
        self.host.docker("kill", self._container())

    def take_memory(self) -> None:
        """Limit the container's memory; the model allocates more."""
        self.host.docker("update", "--memory=256m", "--memory-swap=256m", self._container())

    def _container(self) -> str:
        (name,) = self.host.docker("ps", "--format={{.Names}}").split()
        return name

    def forbid_docker(self) -> None:
        """Take the socket of the Docker daemon from the login user."""
        self.host.forbid_docker()

    def allow_docker(self) -> None:
        """Give it back."""
        self.host.allow_docker()

    # Power, disk, files -----------------------------------------------------------------------

    def power_off(self) -> None:
        """Cut the power."""
        self.host.console("sync")
        self.host.power_off()

    def boot(self) -> None:
        """Power on."""
        self.host.boot()

    def fill_disk(self) -> None:
        """Fill the disk where orders are executed."""
        self.host.fill_disk()

    def free_disk(self) -> None:
        """Free that disk."""
        self.host.free_disk()

    def spoil_inputs(self) -> None:
        """Change the first byte of all uploaded inputs in place; size and name stay."""
        self.host.console("sh", "-c", f"set -- /data/cosmos/cas/*; {_SPOIL}")

    def spoil_scripts(self) -> None:
        """Change the first byte of the scripts in place."""
        self.host.console("sh", "-c", f"set -- /data/cosmos/scripts/*/run.sh; {_SPOIL}")

    def unmount_runs(self) -> None:
        """Take the disk of all runs away, and let everybody look again."""
        self.host.console("mv", "/data/cosmos", "/data/away")
        self.end_connections()

    def mount_runs(self) -> None:
        """Give it back."""
        self.host.console("mv", "/data/away", "/data/cosmos")

    def remove_folder(self) -> None:
        self.host.remove(f"/data/cosmos/runs/{self.run.batch_id}")
