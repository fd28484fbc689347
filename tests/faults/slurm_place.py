"""A Slurm cluster of this machine as the place of a run: see `tests/rig/slurm.py`."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Final

from tests.faults.place import Place, small_disk, stand_in_at
from tests.rig.slurm import NODES, Cluster
from tests.support.slow_way import slow_way
from tests.support.sshd import running_sshd
from tests.support.strangers import stranger
from tests.support.waiting import until

_SETTINGS: Final = """
[execution]
backend = "cluster"
engine = "stand_in"
grace_s = 2
[hosts.cluster]
host = "loop"
ssh_config = "{config}"
remote_dir = "{there}"
connect_timeout_s = 2
lost_after_s = 3
wait_s = {wait_s}
[hosts.cluster.docker]
python = "{python}"
[hosts.cluster.slurm]
images = "none"
memory = "100M"
cpus = 1
bin = "{bin}"
"""
_COMMAND: Final = """#!/bin/sh
# Says something first, and sbatch answers late: the job runs for a while before the answer.
[ ! -e {base}/said ] || cat {base}/said
/usr/bin/{name} "$@"; code=$?
while [ {name} = sbatch ] && [ -e {base}/hold ]; do sleep 0.02; done
exit $code
"""


class SlurmPlace(Place):
    """A run in a job; its login node is an SSH server of its own, behind a way that can be slow."""

    backend: ClassVar[str] = "slurm"

    def __init__(
        self,
        home: Path,
        fill: Callable[[], None],
        cluster: Cluster,
        wait_s: float,
        *,
        catalog_apart: bool = False,
    ) -> None:
        super().__init__(home, fill)
        self.cluster, self.base = cluster, home.parent
        self.there = self.base / "there"
        self.stand_in = str(stand_in_at(self.models))
        self.gate_there = str(self.models / "gate")
        self.close_gate()
        self._stack = ExitStack()
        self._strangers: list[socket.socket] = []
        self._fill_disk = self._stack.enter_context(small_disk(self.there))
        self._login = self._stack.enter_context(running_sshd(cluster.login_environment))
        self._way = self._stack.enter_context(slow_way(self._login.port))
        for file in (self._login.base / "known_hosts", self._login.config):
            file.write_text(file.read_text().replace(str(self._login.port), str(self._way.port)))
        commands = self.base / "bin"
        commands.mkdir()
        for name in ("sbatch", "scontrol", "squeue", "scancel", "sinfo", "sacct"):
            (commands / name).write_text(_COMMAND.format(base=self.base, name=name))
            (commands / name).chmod(0o755)
        text = _SETTINGS.format(
            config=self._login.config, there=self.there, wait_s=wait_s, bin=commands,
            python=sys.executable,
        )  # fmt: skip
        self.make_project(text, catalog_apart=catalog_apart)

    @property
    def models(self) -> Path:
        """See `Place.models`."""
        return self.base / "models"

    def close(self) -> None:
        """See `Place.close`; the cluster is as before, too."""
        with self._stack:
            super().close()
            self.cluster.heal()

    # The model, and what is left: as in `Place` -----------------------------------------------

    def starts(self) -> list[str]:
        log = self.models / "starts/log"
        return log.read_text().split() if log.exists() else []

    def hold_answers(self) -> None:
        (self.base / "hold").touch()

    def release_answers(self) -> None:
        (self.base / "hold").unlink(missing_ok=True)

    def files(self) -> Path:
        return self.there

    def slow_link(self) -> None:
        self._way.slow = True

    def usual_link(self) -> None:
        self._way.slow = False

    def containers(self, *, running: bool = False) -> list[str]:
        if running:
            return self.cluster.ask("squeue", "-h", "-t", "PD,R", "-o", "%j").split()
        return [file.name for file in self.there.glob("slurm/cosmos-*")]

    # The link and sshd ------------------------------------------------------------------------

    def cut(self) -> None:
        """Let nothing pass between here and the login node; no connection gets an error."""
        self._way.open.clear()

    def mend(self) -> None:
        """Let all pass again."""
        self._way.open.set()

    def end_connections(self) -> None:
        """End all connections; sshd takes new ones."""
        self._login.cut()

    def stop_sshd(self) -> None:
        """End sshd and its sessions."""
        self._login.end()

    def start_sshd(self) -> None:
        """Start sshd again."""
        self._login.start()

    def restart_sshd(self, lines: str = "") -> None:
        """End sshd and its sessions, and start it; `lines` change its configuration."""
        self._login.end()
        self._login.start(lines)

    def occupy_logins(self) -> None:
        """Let sshd drop whoever comes, since another one is logging in for ever (MaxStartups)."""
        self.restart_sshd("MaxStartups 1\n")
        self._strangers.append(stranger("127.0.0.1", self._login.port))

    def free_logins(self) -> None:
        """Let the other one go after 1 s."""
        time.sleep(1)
        self._strangers.pop().close()

    def one_session(self) -> None:
        """Let sshd have one session in a connection (MaxSessions)."""
        self.restart_sshd("MaxSessions 1\n")

    def refuse_logins(self) -> None:
        """End the sessions and refuse every login."""
        self.restart_sshd("AuthorizedKeysFile none\n")

    def allow_logins(self) -> None:
        """Let users in again."""
        self.restart_sshd()

    def show_other_key(self) -> None:
        """End the sessions and show another host key."""
        key = self._login.base / "other_host_key"
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        subprocess.run(words, check=True)
        self.restart_sshd(f"HostKey {key}\n")

    def show_own_key(self) -> None:
        """Show the first host key again."""
        self.restart_sshd()

    def shell_prints(self) -> None:
        """Let the shell print a line at every login; what follows the log is ended."""
        (self._login.home / ".bashrc").write_text("echo Welcome to login1\n")
        self.restart_sshd()

    def shell_is_plain(self) -> None:
        """Let the shell do nothing at a login."""
        (self._login.home / ".bashrc").unlink(missing_ok=True)

    # Slurm ------------------------------------------------------------------------------------

    def say(self, text: str | None) -> None:
        """Let Slurm's commands print this before each answer; None: only the answer."""
        if text is None:
            (self.base / "said").unlink(missing_ok=True)
        else:
            (self.base / "said").write_text(text)

    def stop_carrier(self) -> None:
        """Kill slurmctld; jobs live on."""
        self.cluster.kill("slurmctld")

    def start_carrier(self) -> None:
        """Start slurmctld."""
        self.cluster.start_controller()

    def halt_carrier(self) -> None:
        """Let slurmctld hang; jobs go on."""
        self.cluster.halt("slurmctld")

    def resume_carrier(self) -> None:
        """Let slurmctld continue."""
        self.cluster.resume("slurmctld")

    def kill_node_daemons(self) -> None:
        """Kill the slurmd of all nodes; the processes of jobs live on."""
        for node in NODES:
            self.cluster.kill(node)

    def start_node_daemons(self) -> None:
        """Start the slurmd of all nodes."""
        for node in NODES:
            self.cluster.start_node(node)

    def lose_node_daemon(self) -> None:
        """Let Slurm lose the run's node, whose processes live on."""
        self.cluster.lose(self._job("%N"))

    def power_off(self) -> None:
        """Let the run's node lose its power."""
        node = self._job("%N")
        self.cluster.end_processes()
        self.cluster.lose(node)

    def boot(self) -> None:
        """Do nothing: the other node is there."""

    def requeue(self) -> None:
        """Let an administrator start the job again, which is done at once."""
        job = self._job("%A")
        self.cluster.ask("scontrol", "update", f"jobid={job}", "requeue=1")
        self.cluster.ask("scontrol", "requeue", job)
        self._until_ended()

    def end_order(self) -> None:
        self.cluster.ask("scancel", self._job("%A"))
        self._until_ended()

    def _until_ended(self) -> None:
        """Wait for the end of the model, which must not go on when its gate is opened."""
        ended = self.there / "runs" / str(self.run.batch_id) / "exit_code"
        until(ended.exists, "the end of the model")

    def _job(self, what: str) -> str:
        """Return what squeue says of the run's job, as `%A`."""
        lines = self.cluster.ask("squeue", "-h", "-t", "R", "-o", f"%j {what}").splitlines()
        mine = [line.split()[1] for line in lines if str(self.run.batch_id) in line]
        assert len(mine) == 1, f"jobs of {self.run.batch_id}: {lines}"
        return mine[0]

    # Disk and files ---------------------------------------------------------------------------

    def fill_disk(self) -> None:
        """Fill the disk that login node and nodes share."""
        self._fill_disk()

    def free_disk(self) -> None:
        """Free that disk."""
        (self.there / ".filler").unlink()

    def spoil_inputs(self) -> None:
        """Change the first byte of all uploaded inputs in place; size and name stay."""
        _spoil(*self.there.glob("cas/*"))

    def spoil_scripts(self) -> None:
        """Change the first byte of the scripts in place."""
        _spoil(*self.there.glob("scripts/*/run.sh"))


def _spoil(*files: Path) -> None:
    for file in files:
        if file.is_file():
            with file.open("r+b") as opened:
                opened.write(b"X")
