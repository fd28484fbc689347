"""The checks of a GPU host, from the SSH key to the clock.

All checks share one connection; each runs one program on the host. The checks change nothing but
`remote_dir`, which is made if it is missing, and a test file in it, which is removed again.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import PurePath
from typing import Final

from cosmos_pipelines.backends.carriers.base import Carrier, CarrierChecks
from cosmos_pipelines.backends.checks import Check, Finding, fail, ok, said_of, warn
from cosmos_pipelines.backends.ssh import script as host_script
from cosmos_pipelines.doctor import gpus
from cosmos_pipelines.doctor.here import room
from cosmos_pipelines.errors import (
    BackendError,
    CosmosError,
    HostKeyChanged,
    HostKeyUnknown,
    NotAllowed,
    SettingsError,
    Unreachable,
    shown,
)
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.remote import gpu
from cosmos_pipelines.remote.disk import free_bytes
from cosmos_pipelines.remote.ssh.config import Hop, route
from cosmos_pipelines.remote.ssh.connection import Completed, Connection, Target
from cosmos_pipelines.remote.ssh.login import authorities
from cosmos_pipelines.remote.ssh.shell import first_line
from cosmos_pipelines.settings_hosts import Place

ASK_S: Final = 20.0
"""Seconds for one program on the host."""
CLOCK_S: Final = 5.0
LOW_GIB: Final = 5.0

_WRITE: Final = """
mkdir -p -- "$1" && cd -- "$1" || exit 1
trap 'rm -f -- ".doctor.$$" ".doctor.$$.2"' EXIT
echo test >".doctor.$$" && ln ".doctor.$$" ".doctor.$$.2"
"""
"""Tests hard links too: the inputs in a run folder are hard links."""
_FOLDER: Final = """
cat /proc/sys/kernel/random/boot_id && stat -L -c %d:%i -- "$1"
"""
"""The boot of the host, and its number of the folder."""
_FREE: Final = """
d=$1; while [ ! -d "$d" ]; do d=$(dirname -- "$d"); done
df -Pk -- "$d" | tail -n 1
"""


_SILENCE: Final = {
    "bash": "begin ~/.bashrc there with `case $- in *i*) ;; *) return ;; esac`.",
    "zsh": "begin ~/.zshenv there with `[[ -o interactive ]] || return`.",
    "fish": "put these commands of ~/.config/fish/config.fish there between "
    "`if status is-interactive` and `end`.",
    **dict.fromkeys(
        ("tcsh", "csh"), "begin ~/.cshrc (or ~/.tcshrc) there with `if (! $?prompt) exit`."
    ),
}
_SILENCE_ANY: Final = "let the shell's start files there print only in an interactive shell."


_NO_SCRIPTS: Final = {"others": "only the scripts of another version", "none": "no scripts yet"}


class HostChecks:
    """The checks of one host; a context manager, which closes the connection."""

    def __init__(
        self,
        target: Target,
        carrier: Carrier,
        *,
        place: Place,
        needs_gpu: bool,
        scripts: str,
    ) -> None:
        """`scripts`: the name of this version's scripts below scripts/."""
        self.target, self.carrier, self.needs_gpu = target, carrier, needs_gpu
        self.place, self.remote_dir, self.scripts = place, place.remote.remote_dir, scripts
        self.connection = Connection(target)

    def __enter__(self) -> HostChecks:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def checks(self, images: Sequence[Check]) -> list[Check]:
        """Return all checks in their order, with the checks of the images."""
        carrier = self.on_carrier.checks()

        def host(name: str, look: Callable[[], Finding], *needs: str) -> Check:
            return Check(name, look, needs, "host")

        gpus = [host("GPU", self.gpu, "login"), host("GPU health", self.gpu_health, "GPU")]
        return [
            Check("SSH configuration", self.configuration, (), "settings"),
            host("key", self.key, "SSH configuration"),
            host("reachable", self.reachable, "key"),
            host("host key", self.host_key, "reachable"),
            host("login", self.login, "host key"),
            host("login shell", self.login_shell, "login"),
            *(gpus if not self.carrier.elsewhere else []),
            *carrier,
            host("host disk", self.disk, "login"),
            host("write access", self.write_access, "login"),
            *images,
            host("scripts", self.scripts_there, "write access"),
            host("clock", self.clock, "login"),
        ]

    # Connection -------------------------------------------------------------------------------

    @cached_property
    def hops(self) -> tuple[Hop, ...]:
        """The servers on the way to the host, which is the last. Raises SettingsError."""
        return route(self.target)

    def configuration(self) -> Finding:
        """Whether the settings say where to connect to."""
        last = self.hops[-1]
        jumps = f", over {', '.join(str(hop) for hop in self.hops[:-1])}" if self.hops[1:] else ""
        return ok(f"{last} as {last.user}{jumps}")

    def key(self) -> Finding:
        """Whether this machine has a key for the login."""
        key_file = self.target.key_file
        if key_file is not None and not key_file.is_file():
            do = f"ssh-keygen -t ed25519 -f {shlex.quote(str(key_file))}"
            return fail(f"there is no key file {key_file} ({self.place.table} key)", do)
        hop = self.hops[-1]
        files = [str(f) for f in hop.key_files if f.is_file()]
        agent = hop.agent is not None and hop.agent.exists()
        if not files and not agent:
            return warn("there is no private key, and no agent", "ssh-keygen -t ed25519")
        return ok(", ".join([*files, *(["the keys of the agent"] if agent else [])]))

    @cached_property
    def _refusal(self) -> CosmosError | None:
        """Why the connection fails; None if it works. Connects once."""
        try:
            self.connection.open()
        except (BackendError, SettingsError) as e:
            return e
        return None

    def reachable(self) -> Finding:
        """Whether an SSH server answers."""
        if isinstance(self._refusal, Unreachable) or type(self._refusal) is NotAllowed:
            raise self._refusal  # before any host key was seen
        return ok(f"{self.hops[-1]} answers")

    def host_key(self) -> Finding:
        """Whether the host has the known key."""
        if isinstance(self._refusal, HostKeyUnknown | HostKeyChanged):
            raise self._refusal
        last = self.hops[-1]
        if last.new_keys == "add and ignore changes":
            set_to = "StrictHostKeyChecking no"
            return warn(
                f"every key of {last.key_name} is taken: your SSH configuration has {set_to}",
                f"Set StrictHostKeyChecking accept-new for {last.name} there: a changed key is "
                "refused then.",
            )
        if authorities(last):
            return ok(f"is known for {last.key_name}, by itself or by a certificate")
        return ok(f"is the known key of {last.key_name}")

    def login(self) -> Finding:
        """Whether the host accepts the login."""
        if self._refusal is not None:
            raise self._refusal
        started = time.monotonic()
        self.ask(["true"])
        delay = (time.monotonic() - started) * 1000
        return ok(f"as {self.hops[-1].user}; a program on the host answers in {delay:.0f} ms")

    def login_shell(self) -> Finding:
        """Report the login shell, and what it prints before each program."""
        done = self.ask(["sh", "-c", 'printf "%s\\n" "$SHELL"'])
        shell = done.stdout.decode(errors="replace").strip() or "unknown"
        if not (line := first_line(done.noise)):
            return ok(shell)
        found = f"{shell} prints {shown(line)} before each program; this is skipped"
        return warn(found, f"To silence it: {_SILENCE.get(PurePath(shell).name, _SILENCE_ANY)}")

    # Carrier and GPU --------------------------------------------------------------------------

    @cached_property
    def on_carrier(self) -> CarrierChecks:
        """The checks of the carrier on the host."""
        return self.carrier.examination(
            self.target.host, lambda: self.hops[-1].user, self.ask, needs_gpu=self.needs_gpu
        )

    @cached_property
    def _gpus(self) -> gpu.GpuState:
        done = self.ask(gpu.query_argv())
        return gpu.parse(done.exit_code, done.stdout.decode(errors="replace"), said_of(done))

    def gpu(self) -> Finding:
        """Report the GPUs that `nvidia-smi` lists."""
        return gpus.listed(self._gpus, self.place, needs_gpu=self.needs_gpu)

    def gpu_health(self) -> Finding:
        """Whether a GPU must be reset, or has counted errors of its memory."""
        if not self._gpus.gpus:
            return ok("no GPU")
        return gpus.health(self.ask(gpu.health_argv()).stdout.decode(errors="replace"))

    # Files and time ---------------------------------------------------------------------------

    def disk(self) -> Finding:
        """Whether the host has room for inputs and results, and for the carrier's data."""
        found = self._room(self.remote_dir, f"du -sh {shlex.quote(self.remote_dir)}/*")
        if found.result != "ok":
            return found
        rooms = [self._room(where, see) for where, see in self.on_carrier.rooms().items()]
        return next((room for room in rooms if room.result != "ok"), found)

    def _room(self, directory: str, see: str) -> Finding:
        done = self.ask(["sh", "-c", _FREE, "cosmos", directory])
        line = done.stdout.decode(errors="replace")
        free = free_bytes(line) if done.exit_code == 0 else None
        if free is None:
            return fail(f"the free space of {directory} cannot be read: {said_of(done)}", "")
        do = f"Free some space: `ssh {self.target.host} {see}` lists what uses it."
        return room(free / (1 << 30), directory, do, low_gib=LOW_GIB)

    def write_access(self) -> Finding:
        """Whether files and hard links can be made in `remote_dir`."""
        done = self.ask(["sh", "-c", _WRITE, "cosmos", self.remote_dir])
        if done.exit_code == 0:
            return ok(f"{self.remote_dir} can be written")
        message = said_of(done)
        user = self.hops[-1].user
        table = self.place.table
        do = f"Set another remote_dir in {table} of cosmos.toml, or let {user} write there."
        if "No space left" in message or "quota" in message:
            do = f"Free some space on the host: `ssh {self.target.host} df -h`."
        return fail(f"{self.remote_dir}: {message}", do)

    def folder(self) -> str | None:
        """Return a text that only the folder `remote_dir` of this host has; None: it is unknown."""
        try:
            done = self.ask(["sh", "-c", _FOLDER, "cosmos", self.remote_dir])
        except (BackendError, SettingsError):  # the checks have said so
            return None
        found = done.stdout.decode(errors="replace").split()
        return " ".join(found) if done.exit_code == 0 and len(found) == 2 else None

    def scripts_there(self) -> Finding:
        """Whether the host has the scripts of this version; the start of a run sends them."""
        done = self.ask(host_script.scripts_there(self.remote_dir, self.scripts))
        found = done.stdout.decode(errors="replace").strip()
        again = "the next run sends the scripts of this version"
        if found == "sound":
            return ok(f"up to date ({self.scripts[:12]})")
        if found == "damaged":
            where = f"{self.remote_dir}/scripts/{self.scripts}"
            do = f"Nothing to do, unless it comes again: is the disk of {self.target.host} failing?"
            return warn(f"damaged: {where} has other files than were sent; {again}", do)
        if found in _NO_SCRIPTS:
            return ok(f"{_NO_SCRIPTS[found]}; {again}")
        return warn(f"{self.remote_dir}/scripts cannot be read: {said_of(done)}", "")

    def clock(self) -> Finding:
        """Whether the host's clock and this machine's clock agree, except for the delay."""
        before = time.time()
        done = self.ask(["date", "+%s"])
        middle = (before + time.time()) / 2
        words = done.stdout.decode(errors="replace").split()
        now = whole(words[0]) if words else None
        if now is None:
            do = f"See `ssh {self.target.host} date`."
            return warn(f"the host's clock cannot be read: {said_of(done)}", do)
        ahead = now + 0.5 - middle
        if abs(ahead) <= CLOCK_S:
            return ok(f"within {CLOCK_S:.0f} s of this machine's clock")
        found = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's clock"
        return warn(found, "Set the host's clock there: `sudo timedatectl set-ntp true`.")

    def ask(self, argv: Sequence[str]) -> Completed:
        """Run a program on the host."""
        return self.connection.run(argv, timeout_s=ASK_S)
