"""The state of orders on a host: ask for the run folder and the carrier, and read the answer.

<remote_dir>/cas/<sha256>        inputs, each uploaded once
<remote_dir>/scripts/<content>/  gpu_scripts, once for each content
<remote_dir>/runs/<order id>/    run folders; their inputs/ are hard links into cas
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.carriers.base import Carried, Carrier, Start
from cosmos_pipelines.backends.ssh import script as host_script
from cosmos_pipelines.backends.ssh.host_shell import parts
from cosmos_pipelines.errors import (
    BackendError,
    GpusBusy,
    NotAllowed,
    NotUnderstood,
    ShellFailed,
    Unreachable,
    shown,
)
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.lines import plain
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.ssh.connection import Completed, Connection

LOOK_S: Final = 30.0
"""Seconds that a carrier may take to answer."""
_CANNOT_WRITE: Final = 73
"""The exit code of a script of ours that could not write; the other codes are not ours."""


@dataclass(frozen=True)
class Clock:
    """A host's clocks, read at one moment."""

    uptime_s: float
    ticks: int
    """Clock ticks a second, the unit of a process's start."""
    now_s: float
    """Seconds since 1970, by the clock that may be set."""


@dataclass(frozen=True)
class Seen:
    """The state of an order on its host."""

    order_id: str
    carried: Carried | None
    """None if the carrier has no such order, or has not started the order."""
    folder: str | None
    """Absolute path of the run folder; None if there is none."""
    files: Mapping[str, str]
    """Content by name of the files that were asked for and exist."""
    log_size: int
    clock: Clock | None
    read_at: float
    """`time.monotonic()` of this machine."""
    no_runs: str | None = None
    """The directory of all run folders, if that is not there either."""

    @property
    def alive(self) -> bool:
        """Whether the order has processes."""
        return self.carried is not None and self.carried.alive

    @property
    def started(self) -> bool:
        """Whether the order was ever started."""
        return self.carried is not None or run_folder.STARTED in self.files

    @property
    def running_s(self) -> float | None:
        """Seconds since the order's start, by the host's clock; None if the clock was not read."""
        if self.clock is None:
            return None
        if self.carried is not None and self.carried.running_s is not None:
            return self.carried.running_s
        if run_folder.STARTED in self.files:
            ticks = run_folder.read_start(self.files[run_folder.STARTED]).started
            if ticks:
                return max(0.0, self.clock.uptime_s - ticks / self.clock.ticks)
        started_at = self.carried.started_at if self.carried else None
        return max(0.0, self.clock.now_s - started_at.timestamp()) if started_at else 0.0


class HostFolder:
    """The directory `remote_dir` on a host, and the carrier of its orders."""

    def __init__(self, connection: Connection, remote_dir: str, carrier: Carrier) -> None:
        self.connection, self.carrier = connection, carrier
        self.host = connection.host
        self.remote_dir = remote_dir

    def path(self, order_id: str) -> str:
        """Return the path of the run folder for the login user's shell."""
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
            BackendError: the script could not write (`disk_full`, `launch_failed`).
            NotUnderstood: the answer is not one of the script.
            Unreachable, LinkLost, NotAllowed: see `Connection`.
        """
        try:
            done = self.connection.run(argv, timeout_s=timeout_s, input=input)
        except ShellFailed as e:  # it may have been refused a process
            raise not_understood(self.host, e) from None
        except (Unreachable, NotAllowed):
            raise
        except BackendError as e:  # it printed without end
            raise not_understood(self.host, e) from None
        return self.answered(done)

    def answered(self, done: Completed) -> Answer:
        """Read the answer of a script that has ended. Raises BackendError as `ask`."""
        if done.exit_code != 0:
            raise self._refused(done)
        try:
            return Answer(self.host, self.carrier, parts(done.stdout))
        except BackendError as e:
            raise not_understood(self.host, e) from None

    def look(self, order_id: str, *files: str, folder: str | None = None) -> Seen:
        """Return the state of an order, with the content of these files.

        Raises:
            Unreachable: also if the carrier does not answer on the host; `NotUnderstood`.
        """
        argv = host_script.look(
            folder or self.path(order_id),
            *dict.fromkeys((run_folder.STARTED, *files)),
            ask_carrier=self.carrier.look(self.carrier.name_of(order_id)),
        )
        return self.ask(argv, timeout_s=LOOK_S).seen(order_id)

    def look_at_begun(self, order_id: str, *files: str, folder: str | None = None) -> Seen:
        """Return the state of an order that has begun: see `look`.

        Raises:
            NotUnderstood: also if the directory of all run folders is not there, and the carrier
                does not know that there is no such order: the disk may come back, and what has
                begun goes on meanwhile. A host that was made anew has neither.
        """
        seen = self.look(order_id, *files, folder=folder)
        if seen.no_runs is not None and (seen.carried or not self.carrier.remembers):
            raise NotUnderstood(
                self.host,
                f"On {self.host} the directory {seen.no_runs} is not there, with all runs.",
                hint=f"Is the disk of {self.remote_dir} mounted there?",
            )
        return seen

    def folder_gone(self, path: str, seen: Seen) -> BackendError:
        """Return the error for an order whose run folder `path` is not there any more."""
        said = f"The run folder {path} on {self.host} is gone"
        if seen.alive:
            name = f"{self.carrier.noun} {self.carrier.name_of(seen.order_id)}"
            said += f"; the {name} still runs there, but its result cannot be fetched"
        return BackendError("lost", f"{said}.")

    def _refused(self, done: Completed) -> BackendError:
        message = done.stderr.decode(errors="replace").strip()
        lines = message.splitlines() or [f"exit code {done.exit_code}"]
        full = next((x for x in lines if "No space left" in x or "quota exceeded" in x), None)
        where = f"{self.remote_dir} on {self.host}"
        if full:
            hint = f"Free some space on {self.host} and try again."
            return BackendError("disk_full", f"No space left for {where}: {full}", hint=hint)
        refused = BackendError(
            "launch_failed", f"Cannot use {where}: {lines[-1]}", hint="Run `cosmos doctor`."
        )
        return refused if done.exit_code == _CANNOT_WRITE else not_understood(self.host, refused)


@dataclass(frozen=True)
class Answer:
    """The parts of a script's answer."""

    host: str
    carrier: Carrier
    parts: Mapping[str, str]

    def seen(self, order_id: str) -> Seen:
        """Return the state of the order.

        Raises:
            Unreachable: the carrier does not answer on the host; `NotUnderstood`: nor do carrier or
                host give an answer that says something about the order.
            BackendError: the order's name belongs to something else.
        """
        absent = self.parts.get("no_folder")
        if absent is not None and "No such file" not in absent and "Not a directory" not in absent:
            said = f"The run folder of {order_id} on {self.host} cannot be read: {absent}"
            raise NotUnderstood(self.host, said)
        return Seen(
            order_id=order_id,
            carried=self._carried(order_id),
            folder=self.parts.get("folder"),
            files=self.parts,
            log_size=self._number("size") if self.parts.get("size") else 0,
            clock=self._clock(),
            read_at=time.monotonic(),
            no_runs=self.parts.get("no_runs"),
        )

    def start(self, order: Order) -> Start:
        """Return how to start the order, once the order's places are known.

        Raises:
            BackendError: something that the order needs is not on the host.
            Unreachable: the carrier does not answer on the host.
        """
        stderr = self.parts.get("no_needs", "")
        return self.carrier.prepare(order, self.host, self.parts.get("needs"), stderr)

    def refused(self, order: Order | None = None) -> BackendError | None:
        """Return the reason why the carrier refused; None if it did not refuse."""
        stderr = self.parts.get("refused")
        return None if stderr is None else self.carrier.error(self.host, stderr, order)

    def no_gpus(self, order: Order) -> BackendError | None:
        """Return why the order gets no GPUs now, `GpusBusy` if others use them; None if it does."""
        if (said := self.parts.get("no_gpus")) is not None:
            return self.carrier.gpus_refused(order, self.host, said)
        if (held := self.parts.get("lock_held")) is not None:
            return GpusBusy(f"On {self.host} others are starting runs ({held} is locked).", (held,))
        if (file := self.parts.get("no_lock")) is not None:
            return BackendError(
                "launch_failed",
                f"The lock of the GPUs of {self.host} cannot be used: {plain(file)}",
                hint="Remove that file there: each start makes it again.",
            )
        return None

    def _carried(self, order_id: str) -> Carried | None:
        if "carried" not in self.parts:
            stderr = self.parts.get("no_carried", "")
            if not self.carrier.is_absent(stderr):
                raise not_understood(self.host, self.carrier.error(self.host, stderr))
            return None
        try:
            found = self.carrier.read(self.parts["carried"])
        except BackendError as e:
            raise not_understood(self.host, e) from None
        if found.order_id != order_id:
            name = self.carrier.name_of(order_id)
            raise BackendError(
                "launch_failed",
                f"On {self.host} the {self.carrier.noun} name {name} belongs to something else.",
                hint=f"Run on {self.host}: `{shlex.join(self.carrier.look(name))}`; rename it.",
            )
        # Created, but never started: the process that created it died, or is about to start it.
        return None if found.state == "created" else found

    def _clock(self) -> Clock | None:
        if "uptime" not in self.parts:
            return None
        uptime = re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", self.part("uptime").strip())
        if uptime is None:
            raise self._strange("uptime")
        return Clock(float(uptime[0]), max(1, self._number("ticks")), float(self._number("now")))

    def part(self, name: str) -> str:
        """Return a part that must be there. Raises NotUnderstood."""
        if name not in self.parts:
            raise self._strange(name)
        return self.parts[name]

    def _number(self, name: str) -> int:
        number = whole(self.part(name).strip())
        if number is None:
            raise self._strange(name)
        return number

    def _strange(self, name: str) -> NotUnderstood:
        found = f": {shown(self.parts[name])}" if name in self.parts else ""
        return NotUnderstood(
            self.host,
            f"{self.host} did not answer with the {name} that was asked for{found}.",
            hint=f"Do the shell, df, date and {self.carrier.noun}s of {self.host} work as usual?",
        )


def not_understood(host: str, why: BackendError) -> Unreachable:
    """Return the error for a look that says nothing about the order."""
    if isinstance(why, Unreachable):
        return why
    return NotUnderstood(host, why.message, hint=why.hint)


def handle_of(seen: Seen, host: HostFolder) -> Handle:
    """Return the handle of a started order."""
    pid = seen.files.get(run_folder.STARTED)
    boot_id = run_folder.read_start(pid).boot_id if pid else ""
    name = host.carrier.name_of(seen.order_id)
    return Handle(
        order_id=seen.order_id,
        run_dir=seen.folder or host.path(seen.order_id),
        boot_id=boot_id,
        host=host.host,
        marks=host.carrier.marks(name, seen.carried),
    )
