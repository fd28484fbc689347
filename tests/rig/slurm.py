"""A real Slurm cluster on this machine: munged, slurmctld, a slurmd for each node, a login node.

All nodes are this machine, as Debian's build of Slurm allows, so every directory is shared. GPUs
are copies of /dev/null. There is no accounting. The login node is an SSH server of its own.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.support.sshd import Sshd, require_sshd, running_sshd
from tests.support.waiting import until

PROGRAMS: Final = ("slurmctld", "slurmd", "munged", "sbatch")
NODES: Final = ("n1", "n2")
GPUS: Final = 2
"""Of each node."""

_CONF: Final = """\
ClusterName=rig
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ctld}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge/sock
CredType=cred/munge
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool-%n
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd-%n.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=100000
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmctldTimeout=3
SlurmdTimeout=300
MessageTimeout=5
KillWait=2
MinJobAge=300
DebugFlags=NO_CONF_HASH
FirstJobId=1
GresTypes=gpu
{nodes}
PartitionName=gpu Nodes=n1,n2 Default=YES MaxTime=04:00:00 State=UP
PartitionName=short Nodes=n1,n2 MaxTime=00:30:00 State=UP
"""


class Cluster:
    """A cluster whose daemons can be killed and started again one by one."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.conf = base / "slurm.conf"
        self.env = {**os.environ, "SLURM_CONF": str(self.conf)}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._first_job = 0

    def start(self) -> None:
        """Start everything; return when both nodes are idle."""
        munge = self.base / "munge"
        munge.mkdir(mode=0o755)
        (munge / "key").write_bytes(os.urandom(1024))
        (munge / "key").chmod(0o600)
        ports = iter(random.sample(range(16000, 20000), 3))
        nodes = [
            f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={next(ports)} "
            f"CPUs=2 RealMemory=4000 Gres=gpu:h100:{GPUS} State=UNKNOWN"
            for name in NODES
        ]
        self.conf.write_text(_CONF.format(base=self.base, ctld=next(ports), nodes="\n".join(nodes)))
        gres = [f"NodeName={n} Name=gpu Type=h100 File={self.base}/nv[0-{GPUS - 1}]" for n in NODES]
        (self.base / "gres.conf").write_text("AutoDetect=off\n" + "\n".join(gres) + "\n")
        for i in range(GPUS):
            os.mknod(self.base / f"nv{i}", 0o20666, os.makedev(1, 3))
        files = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log"}
        words = [f"--{option}={munge}/{name}" for option, name in files.items()]
        self._run("munged", "munged", "-F", "--force", f"--seed-file={munge}/seed", *words)
        until((munge / "sock").exists, "the socket of munged")
        self.start_controller("-c")
        for node in NODES:
            self.start_node(node)
        until(self._idle, "two nodes")

    def login_environment(self, sshd: Path) -> str:
        """The line of sshd's configuration for a login node, whose files are in `sshd`."""
        return f"SetEnv HOME={sshd}/home SLURM_CONF={self.conf}\n"

    def _run(self, name: str, *argv: str) -> None:
        with (self.base / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                argv, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def start_controller(self, *options: str) -> None:
        """Start slurmctld; return when it answers.

        One that was killed may have forgotten the last jobs, whose numbers must not come again:
        a node kills both jobs of one number, and is drained.
        """
        self._first_job += 1000
        text = re.sub("FirstJobId=.*", f"FirstJobId={self._first_job}", self.conf.read_text())
        self.conf.write_text(text)
        self._run("slurmctld", "slurmctld", "-D", *options, "-f", str(self.conf))
        until(lambda: "is UP" in self.ask("scontrol", "ping"), "slurmctld")

    def start_node(self, node: str, without: Path | None = None) -> None:
        """Start the slurmd of a node; `without`: a directory that the node does not share."""
        slurmd = ("slurmd", "-D", "-N", node, "-f", str(self.conf))
        hide = 'mount -t tmpfs none "$1" && shift && exec "$@"'
        apart = ("unshare", "--mount", "sh", "-c", hide, "sh", str(without)) if without else ()
        self._run(node, *apart, *slurmd)

    def kill(self, name: str) -> None:
        """End slurmctld, or the slurmd of a node, with -9."""
        self._daemons[name].kill()
        self._daemons.pop(name).wait()

    def halt(self, name: str) -> None:
        """Let slurmctld, or the slurmd of a node, hang."""
        self._daemons[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let it continue."""
        self._daemons[name].send_signal(signal.SIGCONT)

    def lose(self, node: str) -> None:
        """Let Slurm lose a node of which only slurmd has died: its job's processes live on."""
        self.kill(node)
        self.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def heal(self) -> None:
        """End all jobs, and start what does not run."""
        killed = len(self._daemons) < len(NODES) + 2
        for name in self._daemons:
            self.resume(name)
        if "slurmctld" not in self._daemons:
            self.start_controller()
        self.ask("scancel", "--full", "--signal=KILL", "--user=root")
        self.ask("scancel", "--user=root")
        if not killed:
            return  # the next jobs wait for the end of these, if they need their GPUs
        with suppress(TimeoutError):
            until(lambda: not self.ask("squeue", "-h"), "the end of all jobs", 5)
        self.end_processes()
        for node in NODES:
            if node not in self._daemons:
                self.start_node(node)
        until(self._idle, "two nodes")

    def _idle(self) -> bool:
        """Whether both nodes are idle; lets a lost one come back."""
        states = self.ask("sinfo", "-h", "-N", "-o", "%N %T", "-p", "gpu").splitlines()
        for node, state in (line.split() for line in states):
            if not state.startswith("idle"):
                for wanted in ("down", "resume"):
                    words = (f"nodename={node}", f"state={wanted}", "reason=heal")
                    self.ask("scontrol", "update", *words)
        return sorted(line.split()[1] for line in states) == ["idle"] * len(NODES)

    def end_processes(self) -> None:
        """End the processes of all jobs with -9, as on a node without power."""
        for process in self._of_jobs():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def ask(self, *argv: str) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def _of_jobs(self) -> Iterator[psutil.Process]:
        """Yield the processes of jobs, also those that nobody counts any more."""
        daemons = {daemon.pid for daemon in self._daemons.values()}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if (
                    process.name() == "slurmstepd"
                ):  # its title has taken the place of its environment
                    in_job = any(
                        Path(f.path).parent == self.conf.parent for f in process.open_files()
                    )
                else:
                    environ = process.environ()
                    ours = environ.get("SLURM_CONF") == str(self.conf)
                    in_job = ours and "SLURM_JOB_ID" in environ
                if in_job and process.pid not in daemons:
                    yield process

    def stop(self) -> None:
        """End everything."""
        for daemon in self._daemons.values():
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
        self.end_processes()  # after slurmd, which may start one more


def missing() -> str | None:
    """Return why no cluster can run here; None if it can."""
    if os.geteuid() != 0:
        return "a Slurm cluster needs root"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(lacking)} (tests/rig/install.sh)" if lacking else None


@contextmanager
def running_cluster() -> Iterator[tuple[Cluster, Sshd]]:
    """Start a cluster and its login node; end both after the block."""
    base = Path(tempfile.mkdtemp(prefix="slurm-"))
    base.chmod(0o755)
    cluster = Cluster(base)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        stack.callback(cluster.stop)
        cluster.start()
        yield cluster, stack.enter_context(running_sshd(cluster.login_environment))


@pytest.fixture(scope="session")
def slurm_session() -> Iterator[tuple[Cluster, Sshd]]:
    """A cluster with its login node, for the whole session."""
    if reason := missing():
        pytest.skip(reason)
    require_sshd()
    with running_cluster() as both:
        yield both


@pytest.fixture
def cluster(slurm_session: tuple[Cluster, Sshd]) -> Iterator[Cluster]:
    """The cluster, healed after the test."""
    yield slurm_session[0]
    slurm_session[0].heal()


@pytest.fixture
def login_node(slurm_session: tuple[Cluster, Sshd]) -> Sshd:
    """The SSH server of the cluster's login node."""
    return slurm_session[1]
