"""What a backend (the place where orders run) can do: the verbs, the same for all of them.

A backend is two things: how one reaches the place and keeps run folders there, and what carries an
order there (see `carriers`). An order is launched at most once, followed by its log, and judged by
the exit code and the hashes that `run.sh` left in the run folder. Nothing here depends on the
process that launched it: any process finds an order again by its id and goes on from there.

    handle = backend.find(order.id) or backend.launch(order)
    for chunk in backend.follow(handle, offset):  # b"" now and then: look at the clock and lease
        ...
    outcome = backend.outcome(handle)
    backend.collect(handle, {"rs_1.mp4": Path("outputs/run_rs_1/video.mp4")})
    backend.discard(order.id)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from cosmos_pipelines.operations.base import Order, Outcome
from cosmos_pipelines.remote.gpu import GpuState

StopReason = Literal["cancelled", "timeout"]

BEAT_S: Final = 1.0
"""`follow` yields at least this often, `b""` if the log is silent."""


@dataclass(frozen=True)
class Handle:
    """A run that was started: enough to find it again, from any process."""

    order_id: str
    run_dir: str
    """The run folder, as its host names it."""
    boot_id: str
    """Which boot of its host it was started in; another boot means that it is gone."""
    host: str | None = None
    marks: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What its carrier knows it by: process id and start, or container id, name and image."""


class Backend(ABC):
    """A place where orders run.

    Every verb may raise `BackendError` with the kind `unreachable` where the place is on a network.
    """

    name: str
    """As the registry calls it."""

    @abstractmethod
    def launch(self, order: Order) -> Handle:
        """Place the inputs, start the order and return at once; at most one start an order id.

        Calling it again, also from other processes at the same time, gives the handle of the one
        start, even after its end. What was prepared but not started is started.

        Raises:
            InputError: an input is missing, was changed since it was measured, or a name in the
                order leads out of the run folder.
            DiskFull: no room for the inputs; nothing half-written is left.
            BackendError: `launch_failed`, it could not be started.
        """

    @abstractmethod
    def find(self, order_id: str, wait_s: float = 0) -> Handle | None:
        """The run of this order, running or ended; None if it was never started here.

        `wait_s`: how long to wait for a place that cannot be reached.
        """

    @abstractmethod
    def order_of(self, handle: Handle) -> Order:
        """The order that was started, as its run folder holds it."""

    @abstractmethod
    def running_s(self, handle: Handle) -> float:
        """Seconds since its start, by its host's clock that nobody sets."""

    @abstractmethod
    def follow(self, handle: Handle, offset: int = 0) -> Generator[bytes]:
        """The log from byte `offset`, as it is written, until the run has ended and all was read.

        No byte is lost or repeated: the sum of the lengths so far, added to `offset`, is where the
        next `follow` continues. `b""` comes about every `BEAT_S` seconds of silence, so that the
        caller can look at its clock and renew its lease; it may close the iterator at any time.
        """

    @abstractmethod
    def outcome(self, handle: Handle) -> Outcome:
        """How it ended; whatever it left running is ended with it.

        `exit_code` is None if it vanished without one (killed, power cut). `stopped` is set if
        `cancel` ended it, whoever called that.

        Raises:
            StateError: it is still running.
        """

    @abstractmethod
    def finished(self, handle: Handle) -> Outcome:
        """What its program has called finished so far; it may be running still.

        `outputs` are those files, and `exit_code` is None.
        """

    @abstractmethod
    def collect(
        self, handle: Handle, names: Mapping[str, Path], outcome: Outcome | None = None
    ) -> None:
        """Bring outputs (paths below `outputs/`) to local paths; each appears whole or not at all.

        `outcome`: what there is to bring, if that has been asked for already (`outcome`,
        `finished`). Done again it does nothing for files that are there with the right content.

        Raises:
            OutputMissing: the run left no such output, or its content is not what it hashed.
            DiskFull: no room; nothing half-written is left.
        """

    @abstractmethod
    def cancel(
        self, handle: Handle, grace_s: float | None = None, reason: StopReason = "cancelled"
    ) -> None:
        """Ask it to stop, kill it after `grace_s` (default: the backend's), return when it is gone.

        `reason` is recorded in the run folder, where `outcome` reads it. A run that has already
        ended stays as it is.

        Raises:
            BackendError: it could not be confirmed that it is gone.
        """

    @abstractmethod
    def alive(self, handle: Handle) -> bool:
        """Whether it is still running."""

    @abstractmethod
    def discard(self, order_id: str, *, again: bool = False) -> None:
        """Remove its run folder; nothing if there is none.

        An order that others may still want to start, from other machines, is not started after
        that, unless `again` allows it.

        Raises:
            StateError: it is still running.
        """

    @abstractmethod
    def active(self) -> list[str]:
        """Ids of the orders that are running here, whoever launched them."""

    def close(self) -> None:  # noqa: B027 - most have nothing to give up
        """Give up connections; runs go on. Using it again opens them anew."""

    def gpus(self, order: Order | None = None) -> GpuState:  # noqa: ARG002
        """The GPUs here, now; those that `order` uses, if given. None where there is no telling."""
        return GpuState(())

    def examine(self, handle: Handle | None) -> dict[str, str]:  # noqa: ARG002
        """What may explain a failure, as texts by file name; of a run, where one was started.

        Records of the run folder, the container, disk, memory, GPUs, kernel messages. What could
        not be had says so itself. Secrets are still in it.
        """
        return {}
