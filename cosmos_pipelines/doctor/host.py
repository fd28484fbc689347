"""Checks of a GPU host, from the key that opens it to its clock.

All over one connection; each question is one program there. Nothing is changed but that our
directory is made, and a file in it that is removed again.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

from cosmos_pipelines.doctor.checks import Check, Finding, fail, ok, warn
from cosmos_pipelines.doctor.here import room
from cosmos_pipelines.errors import (
    BackendError,
    CosmosError,
    HostKeyChanged,
    HostKeyUnknown,
    SettingsError,
    Unreachable,
)
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.remote import gpu
from cosmos_pipelines.remote.docker import answers as docker_answers
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.ssh.config import Hop, route
from cosmos_pipelines.remote.ssh.connection import Completed, Connection, Target

ASK_S: Final = 20.0
"""For one program there."""
CLOCK_S: Final = 5.0
LOW_GIB: Final = 5.0
OLDEST_DOCKER: Final = (20, 10)
"""The first whose `docker run` knows --pull=never."""
TOOLKIT: Final = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
)

_WRITE: Final = """
mkdir -p -- "$1" && cd -- "$1" || exit 1
trap 'rm -f -- ".doctor.$$" ".doctor.$$.2"' EXIT
echo test >".doctor.$$" && ln ".doctor.$$" ".doctor.$$.2"
"""
"""Hard links are how a run folder has its inputs."""
_FREE: Final = """
d=$1; while [ ! -d "$d" ]; do d=$(dirname -- "$d"); done
df -Pk -- "$d" | tail -n 1
"""


class HostChecks:
    """The checks of one host; a context manager, which ends the connection."""

    def __init__(
        self,
        target: Target,
        *,
        remote_dir: str,
        needs_gpu: bool,
        scripts: str,
    ) -> None:
        """`scripts` is what ours are called below scripts/."""
        self.target, self.needs_gpu = target, needs_gpu
        self.remote_dir, self.scripts = remote_dir, scripts
        self.connection = Connection(target)

    def __enter__(self) -> HostChecks:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def checks(self, images: Sequence[Check]) -> list[Check]:
        """All of them, in their order, with those of the images."""

        def host(name: str, look: Callable[[], Finding], *needs: str) -> Check:
            return Check(name, look, needs, "host")

        return [
            Check("SSH configuration", self.configuration, (), "settings"),
            host("key", self.key, "SSH configuration"),
            host("reachable", self.reachable, "key"),
            host("host key", self.host_key, "reachable"),
            host("login", self.login, "host key"),
            host("Docker", self.permission, "login"),
            host("Docker version", self.version, "Docker"),
            host("GPU", self.gpu, "login"),
            host("GPU in containers", self.gpu_in_containers, "GPU", "Docker"),
            host("disk there", self.disk, "login"),
            host("write access", self.write_access, "login"),
            *images,
            host("scripts", self.scripts_there, "write access"),
            host("clock", self.clock, "login"),
        ]

    # The way there ----------------------------------------------------------------------------

    @cached_property
    def hops(self) -> tuple[Hop, ...]:
        """The servers on the way. Raises SettingsError."""
        return route(self.target)

    def configuration(self) -> Finding:
        """Whether one can tell from the settings where to connect to."""
        last = self.hops[-1]
        jumps = f", over {', '.join(str(hop) for hop in self.hops[:-1])}" if self.hops[1:] else ""
        return ok(f"{last} as {last.user}{jumps}")

    def key(self) -> Finding:
        """Whether there is any key to offer."""
        given = self.target.key_file
        if given is not None and not given.is_file():
            do = f"ssh-keygen -t ed25519 -f {shlex.quote(str(given))}"
            return fail(f"{given} ([remote] key) is not there", do)
        hop = self.hops[-1]
        files = [str(f) for f in hop.key_files if f.is_file()]
        agent = hop.agent is not None and hop.agent.exists()
        if not files and not agent:
            return fail("there is no private key, and no agent", "ssh-keygen -t ed25519")
        return ok(", ".join([*files, *(["those of the agent"] if agent else [])]))

    @cached_property
    def _refusal(self) -> CosmosError | None:
        """Why we cannot connect; tried once."""
        try:
            self.connection.open()
        except (BackendError, SettingsError) as e:
            return e
        return None

    def reachable(self) -> Finding:
        """Whether an SSH server answers."""
        if isinstance(self._refusal, Unreachable):
            raise self._refusal
        return ok(f"{self.hops[-1]} answers")

    def host_key(self) -> Finding:
        """Whether it is the host that we know."""
        if isinstance(self._refusal, HostKeyUnknown | HostKeyChanged):
            raise self._refusal
        return ok(f"is the known one of {self.hops[-1].key_name}")

    def login(self) -> Finding:
        """Whether it lets us in."""
        if self._refusal is not None:
            raise self._refusal
        started = time.monotonic()
        self._ask(["true"])
        delay = (time.monotonic() - started) * 1000
        return ok(f"as {self.hops[-1].user}; a program there takes {delay:.0f} ms to answer")

    # Docker and GPU ---------------------------------------------------------------------------

    @cached_property
    def _docker(self) -> docker_answers.Engine | docker_answers.Problem:
        done = self._ask(docker.info_argv())
        out = done.stdout.decode(errors="replace")
        if not out.lstrip().startswith("{"):
            return docker_answers.parse_problem(_said(done))
        return docker_answers.parse_info(out)

    @property
    def _engine(self) -> docker_answers.Engine:
        """Asked for only after `permission` was found."""
        assert isinstance(self._docker, docker_answers.Engine)
        return self._docker

    def permission(self) -> Finding:
        """Whether we may use Docker there."""
        if isinstance(self._docker, docker_answers.Problem):
            hint = self._docker.hint.replace("USER", self.hops[-1].user)
            return fail(self._docker.message, hint)
        return ok(f"{self.hops[-1].user} may use it")

    def version(self) -> Finding:
        """Whether the engine is new enough."""
        engine = self._engine
        said = f"{engine.version}, {engine.cpus} CPUs, {engine.memory / (1 << 30):.0f} GiB memory"
        numbers = tuple(n for x in engine.version.split(".")[:2] if (n := whole(x)) is not None)
        if len(numbers) == 2 and numbers < OLDEST_DOCKER:
            oldest = ".".join(map(str, OLDEST_DOCKER))
            return fail(said, f"Update Docker there to {oldest} or newer.")
        return ok(said + (", containers outlive its restart" if engine.live_restore else ""))

    @cached_property
    def _gpus(self) -> gpu.GpuState:
        done = self._ask(gpu.query_argv())
        return gpu.parse(done.exit_code, done.stdout.decode(errors="replace"), _said(done))

    def gpu(self) -> Finding:
        """What `nvidia-smi` tells."""
        state = self._gpus
        if state.gpus:
            return ok("; ".join(_gpu(one) for one in state.gpus))
        problem = state.problem or "no GPU"
        see = f"ssh {self.target.host} nvidia-smi"
        do = f"See `{see}`; `sudo dmesg | grep NVRM` there tells why."
        if "is not there" in problem:
            do = "Install the NVIDIA driver there (`sudo ubuntu-drivers install`) and reboot."
            if not self.needs_gpu:
                return warn(problem, f"Only simulated engines can run there. {do}")
        return fail(problem, do)

    def gpu_in_containers(self) -> Finding:
        """Whether the engine can give a GPU to a container."""
        hook = self._ask(["sh", "-c", "command -v nvidia-container-runtime-hook nvidia-ctk"])
        if hook.stdout.strip() or "nvidia" in self._engine.runtimes:
            return ok("the NVIDIA container toolkit is installed")
        do = f"Install the NVIDIA container toolkit there: {TOOLKIT}"
        missing = "the NVIDIA container toolkit is not installed"
        return fail(missing, do) if self.needs_gpu else warn(missing, do)

    # Files and time ---------------------------------------------------------------------------

    def disk(self) -> Finding:
        """Room for inputs and results, and for Docker."""
        ours = self._room(self.remote_dir, f"du -sh {shlex.quote(self.remote_dir)}/*")
        if ours.result != "ok" or isinstance(self._docker, docker_answers.Problem):
            return ours
        dockers = self._room(self._docker.root, "docker system df")
        return dockers if dockers.result != "ok" else ours

    def _room(self, directory: str, see: str) -> Finding:
        done = self._ask(["sh", "-c", _FREE, "cosmos", directory])
        words = done.stdout.decode(errors="replace").split()
        free = whole(words[3]) if done.exit_code == 0 and len(words) >= 6 else None
        if free is None:
            return fail(f"the free space of {directory} cannot be read: {_said(done)}", "")
        do = f"Free some space: `ssh {self.target.host} {see}` tells what takes it."
        return room(free / (1 << 20), directory, do, low_gib=LOW_GIB)

    def write_access(self) -> Finding:
        """Whether we can make files, and hard links, in our directory."""
        done = self._ask(["sh", "-c", _WRITE, "cosmos", self.remote_dir])
        if done.exit_code == 0:
            return ok(f"{self.remote_dir} can be written")
        said = _said(done)
        do = "Name another directory as remote_dir in [remote] of cosmos.toml, or let the user in."
        if "No space left" in said or "quota" in said:
            do = f"Free some space there: `ssh {self.target.host} df -h`."
        return fail(f"{self.remote_dir}: {said}", do)

    def scripts_there(self) -> Finding:
        """Whether the scripts of this version are there; whoever starts a run brings them."""
        done = self._ask(["ls", "-1", "--", f"{self.remote_dir}/scripts"])
        names = [n for n in done.stdout.decode(errors="replace").split() if ".part" not in n]
        if self.scripts in names:
            return ok(f"up to date ({self.scripts[:12]})")
        others = "only those of another version are" if names else "none are"
        return ok(f"{others} there yet; the next run brings those of this version")

    def clock(self) -> Finding:
        """Whether its clock tells our time, give or take the way there."""
        before = time.time()
        done = self._ask(["date", "+%s"])
        middle = (before + time.time()) / 2
        words = done.stdout.decode(errors="replace").split()
        now = whole(words[0]) if words else None
        if now is None:
            return warn(f"the host's clock cannot be read: {_said(done)}", "See `date` there.")
        ahead = now + 0.5 - middle
        if abs(ahead) <= CLOCK_S:
            return ok(f"within {CLOCK_S:.0f} s of ours")
        said = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"
        return warn(said, "Set it there: `sudo timedatectl set-ntp true`.")

    def _ask(self, argv: Sequence[str]) -> Completed:
        return self.connection.run(argv, timeout_s=ASK_S)


def _gpu(one: gpu.Gpu) -> str:
    def gib(mib: int | None) -> str:
        return "?" if mib is None else f"{mib / 1024:.1f}"

    free, total = gib(one.memory_free_mib), gib(one.memory_total_mib)
    return f"{one.index}: {one.name}, {free} of {total} GiB free, driver {one.driver}"


def _said(done: Completed) -> str:
    text = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
    return text[:300] or f"exit code {done.exit_code}"
