"""The interface of a carrier, which runs orders on a host: argument vectors and one parser. Pure.

A carrier does not know how the host is reached or where the run folders are: `backends/ssh`
executes the argument vectors on the host, as functions of its shell scripts, and passes the answers
to the carrier. The name of an order is a function of its id, so a second start is refused.
"""

from __future__ import annotations

import hashlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, Literal

from cosmos_pipelines.backends.checks import Check, Finding
from cosmos_pipelines.backends.run_folder import can_be_order
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.operations.base import Order, Verdict
from cosmos_pipelines.remote.gpu import Gpu
from cosmos_pipelines.remote.ssh.connection import Completed

State = Literal["absent", "created", "queued", "running", "ended"]
"""What the program of `Carrier.state` prints. `created`: the order was made but never started.

`queued`: the carrier will start the order by itself.
"""

WORDS: Final = 20
"""Number of last output lines that explain why an order did not start."""


@dataclass(frozen=True)
class OrderPaths:
    """The directories and the user of an order on the host."""

    root: str
    """Absolute path of `remote_dir`."""
    scripts: str
    """Absolute path of the directory with `gpu_scripts`."""
    user: str
    """The login user, `uid:gid`."""
    project: str
    """The mark of this project's orders: several projects may share a host."""
    gpus: str = ""
    """Stands for the ids of the order's GPUs, `0,1`, which the host chooses at the start; empty if
    it chooses none (see `Carrier.choose_gpus`)."""


@dataclass(frozen=True)
class Carried:
    """An order as its carrier reports it."""

    order_id: str | None
    """The id of the order; None: something else on the host has the order's name."""
    state: State
    started_at: datetime | None = None
    out_of_memory: bool = False
    """Whether the order ended because the host's memory ran out."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Catalog columns of the order's runs, and their values."""
    gpus: tuple[str, ...] | None = None
    """Ids (indices or UUIDs) of the GPUs that the order has, or `all`; None: it does not say."""
    running_s: float | None = None
    """Seconds since the start, if the carrier counts them; 0 while the order waits."""
    waits: str | None = None
    """A sentence why the order is queued."""
    ended_by: Verdict | None = None
    """Why the order ended, if it was not its program that ended it."""

    @property
    def alive(self) -> bool:
        """Whether the order has processes, or will have some by itself."""
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class ListedOrder:
    """An order as its carrier lists it."""

    order_id: str
    """Empty, as is `project`, if the carrier cannot say whose it is."""
    project: str
    """The mark of the order's project: see `project_of`."""
    state: State
    ended_at: datetime | None = None
    """None: it has not ended, or the carrier does not know."""
    run_ids: tuple[str, ...] = ()


def project_of(home: Path) -> str:
    """Return the mark of a project's orders: several projects may share a host."""
    return hashlib.sha256(f"{socket.gethostname()}\0{home}".encode()).hexdigest()[:16]


Start = Callable[[OrderPaths], list[str]]
"""Returns the command that starts an order, once the order's places are known."""

Ask = Callable[[Sequence[str]], Completed]
"""Runs a program on the host."""


class CarrierChecks(ABC):
    """The checks of `cosmos doctor` for a carrier on a host; made for one examination."""

    @abstractmethod
    def checks(self) -> list[Check]:
        """Return the checks of the carrier. The checks `login` and `GPU` come before these."""

    @abstractmethod
    def rooms(self) -> Mapping[str, str]:
        """Return directories of the carrier that need disk space, and the command that lists usage.

        Called after the `checks`; empty if a check failed.
        """

    @abstractmethod
    def image(self, engine: str, own: str | None, set_up: str | None) -> tuple[Finding, str | None]:
        """Return whether the image of an engine is on the host, and the image's digest if known.

        Args:
            own: the image that the engine's set-up makes.
            set_up: the command that makes the image; None: no command makes it.
        """


class Carrier(ABC):
    """Carries orders on a host. The login user executes all argument vectors on the host."""

    noun: ClassVar[str]
    """What the carrier makes of an order, for messages: container, job."""
    elsewhere: ClassVar[bool] = False
    """Whether orders run on other machines than the one that answers, whose GPUs are not theirs."""
    remembers: ClassVar[bool] = False
    """Whether it knows of an order also where the run folder is not there."""

    @abstractmethod
    def name_of(self, order_id: str) -> str:
        """Return the carrier's name for an order: a function of the order's id."""

    def folder(self, order_id: str, places: OrderPaths) -> str:
        """Return the run folder's path for the order's program: the host's, unless mounted."""
        return f"{places.root}/runs/{order_id}"

    @abstractmethod
    def needs(self, order: Order) -> list[str]:
        """Return a program that reports whether the order's needs, such as an image, are here.

        Raises:
            SettingsError: the settings name nothing that could carry the order.
        """

    @abstractmethod
    def prepare(self, order: Order, host: str, answer: str | None, stderr: str) -> Start:
        """Return how to start the order, from the output of `needs` (None: `needs` failed).

        Raises:
            BackendError: something that the order needs is not on the host.
            Unreachable: the carrier does not answer now.
        """

    def choose_gpus(self, order: Order) -> list[str] | None:  # noqa: ARG002
        """Return a program that prints the ids of free GPUs for the order, or fails and says why.

        The host runs it under a lock that all its users share, right before the start. None: the
        order needs no GPU, or the carrier gives GPUs by itself (as a cluster does).
        """
        return None

    def gpus_refused(self, order: Order, host: str, said: str) -> BackendError:
        """Return why the program of `choose_gpus` chose none: `GpusBusy` if others use them."""
        return self.error(host, said, order)

    @abstractmethod
    def look(self, name: str) -> list[str]:
        """Return a program that prints the text for `read`, or fails and prints the reason.

        What `read` and `is_absent` do not understand says nothing about the order: it is asked for
        again.
        """

    @abstractmethod
    def read(self, answer: str) -> Carried:
        """Parse the output of `look`. Raises BackendError if the output cannot be read."""

    @abstractmethod
    def is_absent(self, stderr: str) -> bool:
        """Whether `look` failed because there is no such order."""

    @abstractmethod
    def error(self, host: str, stderr: str, order: Order | None = None) -> BackendError:
        """Return the error for a failed program; `Unreachable` if the cause may pass by itself:
        `NotUnderstood` if the carrier was not asked at all.

        `order`: the order that the program should have started.
        """

    @abstractmethod
    def state(self, name: str) -> list[str]:
        """Return a program that prints the `State`; the program fails if the state is unknown."""

    @abstractmethod
    def wait(self, name: str) -> list[str]:
        """Return a program that ends when the order ends."""

    @abstractmethod
    def stop(self, name: str, grace_s: float) -> list[str]:
        """Return a program that asks the order to end and kills it after `grace_s`."""

    @abstractmethod
    def kill(self, name: str) -> list[str]:
        """Return a program that ends the order at once."""

    @abstractmethod
    def remove(self, name: str) -> list[str]:
        """Return a program that removes an ended order from the carrier."""

    @abstractmethod
    def words(self, name: str, lines: int = WORDS) -> list[str]:
        """Return a program that prints the last output lines of the order's first process."""

    @abstractmethod
    def running(self, project: str) -> list[str]:
        """Return a program that prints a project's active orders: the text for `read_running`."""

    def read_running(self, answer: str) -> list[str]:
        """Parse the output of `running`: ids, one a line. What cannot be an id is passed over."""
        return [word for line in answer.splitlines() if can_be_order(word := line.strip())]

    @abstractmethod
    def list_orders(self) -> list[str]:
        """Return a program that prints the text for `read_orders`: all orders of all projects."""

    @abstractmethod
    def read_orders(self, answer: str) -> list[ListedOrder]:
        """Parse the output of `list_orders`."""

    def marks(self, name: str, carried: Carried | None) -> Mapping[str, str]:  # noqa: ARG002
        """Return catalog columns of the order's runs; `carried`: None if the order was removed."""
        return carried.marks if carried else {}

    def uses(self, order: Order, gpu: Gpu) -> bool:
        """Whether an order uses this GPU of the host, where `Carried.gpus` does not say it."""
        return gpu.index < order.gpus

    @abstractmethod
    def facts(self, name: str | None) -> Mapping[str, list[str]]:
        """Return programs whose output may explain a failure, by the name of the output's file.

        `name`: the name of the order, if it was started.
        """

    @abstractmethod
    def examination(
        self, host: str, user: Callable[[], str], ask: Ask, *, needs_gpu: bool
    ) -> CarrierChecks:
        """Return the checks that `cosmos doctor` makes on a host.

        `user` returns the login user, `ask` runs a program on the host; both work after the login.
        """
