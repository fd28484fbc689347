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

from cosmos_pipelines.backends.carriers.base import Carrier, CarrierChecks
from cosmos_pipelines.backends.checks import Check, Finding, fail, ok, said_of, warn
from cosmos_pipelines.doctor.here import room
from cosmos_pipelines.errors import (
    BackendError,
    CosmosError,
    HostKeyChanged,
    HostKeyUnknown,
    SettingsError,
    Unreachable,
)
from cosmos_pipelines.remote import gpu
from cosmos_pipelines.remote.ssh.config import Hop, route
from cosmos_pipelines.remote.ssh.connection import Completed, Connection, Target

ASK_S: Final = 20.0
"""For one program there."""
CLOCK_S: Final = 5.0
LOW_GIB: Final = 5.0

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
        carrier: Carrier,
        *,
        remote_dir: str,
        needs_gpu: bool,
        scripts: str,
    ) -> None:
        """`scripts` is what ours are called below scripts/."""
        self.target, self.carrier, self.needs_gpu = target, carrier, needs_gpu
        self.remote_dir, self.scripts = remote_dir, scripts
        self.connection = Connection(target)

    def __enter__(self) -> HostChecks:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def checks(self, images: Sequence[Check]) -> list[Check]:
        """All of them, in their order, with those of the images."""
        carrier = self.on_carrier.checks()

        def host(name: str, look: Callable[[], Finding], *needs: str) -> Check:
            return Check(name, look, needs, "host")

        return [
            Check("SSH configuration", self.configuration, (), "settings"),
            host("key", self.key, "SSH configuration"),
            host("reachable", self.reachable, "key"),
            host("host key", self.host_key, "reachable"),
            host("login", self.login, "host key"),
            host("GPU", self.gpu, "login"),
            *carrier,
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
        self.ask(["true"])
        delay = (time.monotonic() - started) * 1000
        return ok(f"as {self.hops[-1].user}; a program there takes {delay:.0f} ms to answer")

    # Carrier and GPU --------------------------------------------------------------------------

    @cached_property
    def on_carrier(self) -> CarrierChecks:
        """What is asked of the carrier there."""
        return self.carrier.examination(
            self.target.host, lambda: self.hops[-1].user, self.ask, needs_gpu=self.needs_gpu
        )

    @cached_property
    def _gpus(self) -> gpu.GpuState:
        done = self.ask(gpu.query_argv())
        return gpu.parse(done.exit_code, done.stdout.decode(errors="replace"), said_of(done))

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

    # Files and time ---------------------------------------------------------------------------

    def disk(self) -> Finding:
        """Room for inputs and results, and for what the carrier keeps."""
        found = self._room(self.remote_dir, f"du -sh {shlex.quote(self.remote_dir)}/*")
        if found.result != "ok":
            return found
        rooms = [self._room(where, see) for where, see in self.on_carrier.rooms().items()]
        return next((room for room in rooms if room.result != "ok"), found)

    def _room(self, directory: str, see: str) -> Finding:
        done = self.ask(["sh", "-c", _FREE, "cosmos", directory])
        words = done.stdout.decode(errors="replace").split()
        if done.exit_code != 0 or len(words) < 6 or not words[3].isdigit():
            return fail(f"the free space of {directory} cannot be read: {said_of(done)}", "")
        do = f"Free some space: `ssh {self.target.host} {see}` tells what takes it."
        return room(int(words[3]) / (1 << 20), directory, do, low_gib=LOW_GIB)

    def write_access(self) -> Finding:
        """Whether we can make files, and hard links, in our directory."""
        done = self.ask(["sh", "-c", _WRITE, "cosmos", self.remote_dir])
        if done.exit_code == 0:
            return ok(f"{self.remote_dir} can be written")
        said = said_of(done)
        do = "Name another directory as remote_dir in [remote] of cosmos.toml, or let the user in."
        if "No space left" in said or "quota" in said:
            do = f"Free some space there: `ssh {self.target.host} df -h`."
        return fail(f"{self.remote_dir}: {said}", do)

    def scripts_there(self) -> Finding:
        """Whether the scripts of this version are there; whoever starts a run brings them."""
        done = self.ask(["ls", "-1", "--", f"{self.remote_dir}/scripts"])
        names = [n for n in done.stdout.decode(errors="replace").split() if ".part" not in n]
        if self.scripts in names:
            return ok(f"up to date ({self.scripts[:12]})")
        others = "only those of another version are" if names else "none are"
        return ok(f"{others} there yet; the next run brings those of this version")

    def clock(self) -> Finding:
        """Whether its clock tells our time, give or take the way there."""
        before = time.time()
        done = self.ask(["date", "+%s"])
        middle = (before + time.time()) / 2
        words = done.stdout.decode(errors="replace").split()
        if not words or not words[0].isdigit():
            return warn(f"the host's clock cannot be read: {said_of(done)}", "See `date` there.")
        ahead = int(words[0]) + 0.5 - middle
        if abs(ahead) <= CLOCK_S:
            return ok(f"within {CLOCK_S:.0f} s of ours")
        said = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"
        return warn(said, "Set it there: `sudo timedatectl set-ntp true`.")

    def ask(self, argv: Sequence[str]) -> Completed:
        """Run a program there."""
        return self.connection.run(argv, timeout_s=ASK_S)


def _gpu(one: gpu.Gpu) -> str:
    def gib(mib: int | None) -> str:
        return "?" if mib is None else f"{mib / 1024:.1f}"

    free, total = gib(one.memory_free_mib), gib(one.memory_total_mib)
    return f"{one.index}: {one.name}, {free} of {total} GiB free, driver {one.driver}"
