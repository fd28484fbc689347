"""The interface of a backend: a place where orders run.

A backend joins two parts: the way to reach the place and keep run folders there, and the carrier
that runs orders there (see `carriers`). An order is launched at most once, followed by its log, and
judged by the exit code and the hashes that `run.sh` leaves in the run folder. Nothing depends on
the process that launched the order: any process finds the order by its id and continues.

    handle = backend.find(order.id) or backend.launch(order)
    for chunk in backend.follow(handle, offset):  # b"" in silence: check the clock and the lease
        ...
    outcome = backend.outcome(handle)
    backend.collect(handle, {"rs_1.mp4": Path("outputs/run_rs_1/video.mp4")})
    backend.discard(order.id)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from cosmos_pipelines.operations.base import Order, Outcome
from cosmos_pipelines.remote.gpu import GpuState

StopReason = Literal["cancelled", "timeout", "stalled"]

SweptKind = Literal["inputs", "scripts", "unfinished"]
"""`unfinished`: what an interrupted upload or start has left."""

BEAT_S: Final = 1.0
"""Seconds: `follow` yields at least this often, `b""` if the log does not grow."""


@dataclass(frozen=True)
class Handle:
    """An order that was started: what any process needs to find the order again."""

    order_id: str
    run_dir: str
    """Path of the run folder on its host."""
    boot_id: str
    """The boot of the host in which the order started; the order does not survive that boot."""
    host: str | None = None
    marks: Mapping[str, str] = field(default_factory=dict, hash=False)
    """How the carrier knows the order: process id and start, or container id, name and image."""


@dataclass(frozen=True)
class KeptOrder:
    """An order that has ended and of which something is still in its place."""

    order_id: str
    run_ids: tuple[str, ...]
    """Runs of the order, as its record or its container says."""
    idle_s: float
    """Seconds since the order, or a file in its run folder, was last changed."""
    bytes: int
    """Disk space of the run folder, without its inputs, which are links."""


@dataclass(frozen=True)
class SweptFile:
    """A file or directory that no order uses."""

    kind: SweptKind
    name: str
    bytes: int
    problem: str | None = None
    """Why it could not be removed."""


class Backend(ABC):
    """A place where orders run.

    Every method may raise `BackendError` of the kind `unreachable` if the place is on a network.
    """

    name: str
    """The backend's name in the registry."""
    patience_s: float | None = None
    """Seconds to wait for a place that goes away before an order is started; None: as after it."""

    @property
    def sees_gpus(self) -> bool:
        """Whether `gpus` tells the GPUs that orders get: a cluster's login node cannot."""
        return True

    @abstractmethod
    def launch(self, order: Order, before_start: Callable[[], None] | None = None) -> Handle:
        """Place the inputs, start the order and return at once; an order id starts at most once.

        A second call, also from another process at the same time, returns the handle of the first
        start, also after the order has ended. An order that was only prepared is started.

        `before_start` is called when the inputs are there and GPUs seem free, right before the
        start; what it raises is passed on, and nothing is started. If others are faster, `GpusBusy`
        follows, and the next `launch` calls it again.

        Raises:
            GpusBusy: others use the GPUs, or the places for orders here. Nothing was started; the
                inputs are there, so that another `launch` asks for no more than the GPUs.
            InputError: an input is missing or was changed since it was measured, or a name in the
                order leads out of the run folder.
            DiskFull: no room for the inputs; no half-written file is left.
            BackendError: `launch_failed`, the order could not be started.
        """

    def may_have_started(self, order_id: str) -> bool:  # noqa: ARG002
        """Whether a `launch` of this object that failed may have started the order nevertheless."""
        return True

    @abstractmethod
    def find(self, order_id: str, wait_s: float = 0, *, begun: bool = False) -> Handle | None:
        """Return the handle of an order that runs or has ended; None if it never started here.

        Args:
            wait_s: how long to wait for a place that cannot be reached.
            begun: the order was started here; a place that keeps nothing of any order is one that
                cannot be reached.
        """

    @abstractmethod
    def order_of(self, handle: Handle) -> Order:
        """Return the order that was started, read from its run folder."""

    @abstractmethod
    def running_s(self, handle: Handle) -> float:
        """Seconds since the order's start, by the host's monotonic clock."""

    @abstractmethod
    def follow(self, handle: Handle, offset: int = 0) -> Generator[bytes]:
        """Yield the log from byte `offset` as it grows, until the order has ended and all is read.

        No byte is lost or repeated: the sum of the lengths so far, added to `offset`, is where the
        next `follow` continues. `b""` comes about every `BEAT_S` seconds of silence, so that the
        caller can check the clock and renew its lease. The caller may close the iterator any time.
        """

    @abstractmethod
    def outcome(self, handle: Handle) -> Outcome:
        """Return how the order ended; processes that it left running are ended too.

        `exit_code` is None if the order ended without an exit code (killed, power cut). `stopped`
        is set if `cancel` ended the order, also if another process called `cancel`.

        Raises:
            StateError: the order is still running.
        """

    @abstractmethod
    def finished(self, handle: Handle) -> Outcome:
        """Return the outputs that the program has finished so far; the order may still run.

        `outputs` are those files, and `exit_code` is None.
        """

    @abstractmethod
    def collect(
        self, handle: Handle, names: Mapping[str, Path], outcome: Outcome | None = None
    ) -> None:
        """Copy outputs (paths below `outputs/`) to local paths; each appears whole or not at all.

        `outcome`: the answer of `outcome` or `finished`, if the caller has it already. A local file
        that has the right content already is not copied again.

        Raises:
            OutputMissing: the order left no such output, or the content has another hash.
            DiskFull: no room; no half-written file is left.
        """

    @abstractmethod
    def cancel(
        self, handle: Handle, grace_s: float | None = None, reason: StopReason = "cancelled"
    ) -> None:
        """Stop the order, kill it after `grace_s` (default: the backend's), return when it is gone.

        `reason` is recorded in the run folder, where `outcome` reads it. An order that has already
        ended stays as it is. An interrupt meanwhile kills the order at once, and is passed on when
        its end is confirmed.

        Raises:
            BackendError: the end of the order could not be confirmed.
        """

    @abstractmethod
    def alive(self, handle: Handle) -> bool:
        """Whether the order is still running."""

    def waits(self, handle: Handle) -> str | None:  # noqa: ARG002
        """Return a sentence why an order that was launched has not begun; None if it has."""
        return None

    @abstractmethod
    def asked_to_stop(self, handle: Handle) -> bool:
        """Whether `cancel` has asked the order to stop, from any process."""

    @abstractmethod
    def discard(self, order_id: str, *, again: bool = False) -> None:
        """Remove the run folder of an order; do nothing if there is none.

        A discarded order cannot be started later, also not from another machine, unless `again` is
        set.

        Raises:
            StateError: the order is still running.
        """

    @abstractmethod
    def active(self) -> list[str]:
        """Return the ids of the orders that run here, also those that other processes launched."""

    @abstractmethod
    def kept(self) -> list[KeptOrder]:
        """Return the ended orders here that have a run folder, or something of the carrier's.

        Also orders of other projects, unless the carrier says that an order is another project's.
        """

    @abstractmethod
    def sweep(self, older_s: float, *, dry_run: bool = False) -> list[SweptFile]:
        """Remove what no order uses and none has used for `older_s` seconds; return what it was.

        Inputs that no run folder links to, scripts of other versions, and what an interrupted
        transfer has left for a day at least. An order that is being launched meanwhile gets its
        inputs again. `dry_run`: only return what would be removed.
        """

    def close(self) -> None:  # noqa: B027 - most backends have nothing to close
        """Close connections; orders go on. The next use of the backend connects again."""

    def gpus(self, order: Order | None = None) -> GpuState:  # noqa: ARG002
        """Return the state of the GPUs here, or of those that `order` uses; empty if unknown."""
        return GpuState(())

    def examine(self, handle: Handle | None) -> dict[str, str]:  # noqa: ARG002
        """Return texts by file name that may explain a failure; `handle`: of an order that started.

        Records of the run folder, the container, disk, memory, GPUs, kernel messages. The text of a
        file that could not be read says so. The texts still hold secrets.
        """
        return {}
