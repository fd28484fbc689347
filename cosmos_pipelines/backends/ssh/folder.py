"""Orders on a host as they stand there: run folders and what carries them, asked and read.

<remote_dir>/cas/<sha256>        inputs, uploaded once for ever
<remote_dir>/scripts/<content>/  our gpu_scripts, once for each content
<remote_dir>/runs/<order id>/    run folders; their inputs/ are hard links into cas
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.carriers.base import Carried, Carrier, Start
from cosmos_pipelines.backends.ssh import script as host_script
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.ssh.connection import Completed, Connection

LOOK_S: Final = 30.0
"""Seconds that a carrier may take to answer."""


@dataclass(frozen=True)
class Clock:
    """A host's clocks, read at one moment."""

    uptime_s: float
    ticks: int
    """Clock ticks a second, the unit of a process's start."""
    now_s: float
    """Since 1970, by the clock that somebody may set."""


@dataclass(frozen=True)
class Seen:
    """An order as it stands on its host."""

    order_id: str
    carried: Carried | None
    """None if the carrier knows none, or none that was ever started."""
    folder: str | None
    """Absolute path of the run folder; None if there is none."""
    files: Mapping[str, str]
    """Content of those that were asked for and are there, by name."""
    log_size: int
    clock: Clock | None
    read_at: float
    """`time.monotonic()` of this machine."""

    @property
    def alive(self) -> bool:
        """Whether it has processes."""
        return self.carried is not None and self.carried.alive

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self.carried is not None or run_folder.STARTED in self.files

    @property
    def running_s(self) -> float | None:
        """Seconds since its start, by the host's clock; None if that was not asked."""
        if self.clock is None:
            return None
        if run_folder.STARTED in self.files:
            _, ticks, _ = run_folder.read_start(self.files[run_folder.STARTED])
            if ticks:
                return max(0.0, self.clock.uptime_s - ticks / self.clock.ticks)
        begun = self.carried.started_at if self.carried else None
        return max(0.0, self.clock.now_s - begun.timestamp()) if begun else 0.0


class HostFolder:
    """Our directory on a host, and what carries the orders that belong to it."""

    def __init__(self, connection: Connection, remote_dir: str, carrier: Carrier) -> None:
        self.connection, self.carrier = connection, carrier
        self.host = connection.host
        self.remote_dir = remote_dir

    def path(self, order_id: str) -> str:
        """The run folder as the login user's shell finds it."""
        return f"{self.remote_dir}/runs/{run_folder.check_order_id(order_id)}"

    def ask(
        self,
        argv: Sequence[str],
        *,
        input: bytes | Iterable[bytes] | None = None,
        timeout_s: float,
    ) -> Answer:
        """Run a script and read its answer; `timeout_s` is for each part of the input.

        Raises:
            BackendError: it could not write there (`disk_full`, `launch_failed`).
            Unreachable, LinkLost, NotAllowed: see `Connection`.
        """
        return self.answered(self.connection.run(argv, timeout_s=timeout_s, input=input))

    def answered(self, done: Completed) -> Answer:
        """The answer of a script that has ended. Raises BackendError as `ask`."""
        if done.exit_code != 0:
            raise self._refused(done)
        return Answer(self.host, self.carrier, host_script.parts(done.stdout))

    def look(self, order_id: str, *files: str, folder: str | None = None) -> Seen:
        """How an order stands, with the content of these files.

        Raises:
            Unreachable: also where the carrier does not answer there.
        """
        argv = host_script.look(
            folder or self.path(order_id),
            *dict.fromkeys((run_folder.STARTED, *files)),
            ask_carrier=self.carrier.look(self.carrier.name_of(order_id)),
        )
        return self.ask(argv, timeout_s=LOOK_S).seen(order_id)

    def _refused(self, done: Completed) -> BackendError:
        said = done.stderr.decode(errors="replace").strip()
        lines = said.splitlines() or [f"exit code {done.exit_code}"]
        full = next((x for x in lines if "No space left" in x or "quota exceeded" in x), None)
        where = f"{self.remote_dir} on {self.host}"
        if full:
            hint = "Free some space there and try again."
            return BackendError("disk_full", f"No space left for {where}: {full}", hint=hint)
        return BackendError(
            "launch_failed", f"Cannot use {where}: {lines[-1]}", hint="Run `cosmos doctor`."
        )


@dataclass(frozen=True)
class Answer:
    """The parts of a script's answer."""

    host: str
    carrier: Carrier
    parts: Mapping[str, str]

    def seen(self, order_id: str) -> Seen:
        """The order that was looked at.

        Raises:
            Unreachable: the carrier does not answer there.
            BackendError: the carrier cannot be used there, or the name belongs to something else.
        """
        return Seen(
            order_id=order_id,
            carried=self._carried(order_id),
            folder=self.parts.get("folder"),
            files=self.parts,
            log_size=int(self.parts.get("size") or 0),
            clock=self._clock(),
            read_at=time.monotonic(),
        )

    def start(self, order: Order) -> Start:
        """How the order is started, once its places are known.

        Raises:
            BackendError: what it needs is not there.
            Unreachable: the carrier does not answer there.
        """
        said = self.parts.get("no_needs", "")
        return self.carrier.prepare(order, self.host, self.parts.get("needs"), said)

    def refused(self, order: Order | None = None) -> BackendError | None:
        """Why the carrier did not do what was asked; None if it did not say so."""
        said = self.parts.get("refused")
        return None if said is None else self.carrier.error(self.host, said, order)

    def _carried(self, order_id: str) -> Carried | None:
        if "carried" not in self.parts:
            said = self.parts.get("no_carried", "")
            if not self.carrier.is_absent(said):
                raise self.carrier.error(self.host, said)
            return None
        found = self.carrier.read(self.parts["carried"])
        if found.order_id != order_id:
            name = self.carrier.name_of(order_id)
            raise BackendError(
                "launch_failed",
                f"On {self.host} the {self.carrier.noun} name {name} belongs to something else.",
                hint=f"Look at it there: `{shlex.join(self.carrier.look(name))}`; rename it.",
            )
        # Made, but never started: whoever made it has died, or is about to start it.
        return None if found.state == "created" else found

    def _clock(self) -> Clock | None:
        if "uptime" not in self.parts:
            return None
        uptime, ticks, now = (self.parts[name] for name in ("uptime", "ticks", "now"))
        return Clock(float(uptime), int(ticks), float(now))


def handle_of(seen: Seen, host: HostFolder) -> Handle:
    """What finds a started order again."""
    pid = seen.files.get(run_folder.STARTED)
    boot_id = run_folder.read_start(pid)[2] if pid else ""
    name = host.carrier.name_of(seen.order_id)
    return Handle(
        order_id=seen.order_id,
        run_dir=seen.folder or host.path(seen.order_id),
        boot_id=boot_id,
        host=host.host,
        marks=host.carrier.marks(name, seen.carried),
    )
