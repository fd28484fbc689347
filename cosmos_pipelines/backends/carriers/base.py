"""What carries orders on a host: a few argument vectors, and one parser of the answers. Pure.

How the host is reached and where the run folders are is not its business: `backends/ssh` executes
the vectors there, as functions of its shell scripts, and hands the answers back. A carrier finds an
order by a name that is a function of the order's id, so that it refuses a second start by itself.
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
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.gpu import Gpu
from cosmos_pipelines.remote.ssh.connection import Completed

State = Literal["absent", "created", "running", "ended"]
"""What the program of `Carrier.state` prints. `created`: it was never started."""

WORDS: Final = 20
"""Last lines of an order's output that tell why it did not begin."""


@dataclass(frozen=True)
class Places:
    """Where an order finds its things on the host."""

    root: str
    """Our directory there, absolute."""
    scripts: str
    """The directory with our gpu_scripts, absolute."""
    user: str
    """Who logs in there, `uid:gid`."""
    project: str
    """What marks the orders of this project: several may share a host."""


@dataclass(frozen=True)
class Carried:
    """An order as its carrier knows it."""

    order_id: str | None
    """Of which order it is; None: it is not ours, but has the name."""
    state: State
    started_at: datetime | None = None
    out_of_memory: bool = False
    """Whether the host's memory ran out."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """What a run keeps of it: columns of the catalog and their values."""

    @property
    def alive(self) -> bool:
        """Whether it has processes."""
        return self.state == "running"


def project_of(home: Path) -> str:
    """What marks the orders of a project: several may share a host."""
    return hashlib.sha256(f"{socket.gethostname()}\0{home}".encode()).hexdigest()[:16]


Start = Callable[[Places], list[str]]
"""How an order is started, once its places are known."""

Ask = Callable[[Sequence[str]], Completed]
"""Runs a program on the host."""


class CarrierChecks(ABC):
    """What `cosmos doctor` asks of a carrier on a host; made for one examination."""

    @abstractmethod
    def checks(self) -> list[Check]:
        """Whether it can be used. The checks `login` and `GPU` come before these."""

    @abstractmethod
    def rooms(self) -> Mapping[str, str]:
        """Directories of its own that need room, each with the command that tells what takes it.

        Asked after the `checks`; empty where they failed.
        """

    @abstractmethod
    def image(self, engine: str, own: str | None, set_up: str | None) -> tuple[Finding, str | None]:
        """Whether what an engine's orders run in is there; and its digest, where there is one.

        Args:
            own: the image that the engine's set-up makes.
            set_up: the command that makes it; None: there is none.
        """


class Carrier(ABC):
    """Carries orders on a host. All vectors are executed there, by the user who logs in."""

    noun: ClassVar[str]
    """What an order is to it, for messages: container, job."""

    @abstractmethod
    def name_of(self, order_id: str) -> str:
        """What it calls an order: a function of its id."""

    def folder(self, order_id: str, places: Places) -> str:
        """What the order's program calls its run folder: as the host does, unless it is mounted."""
        return f"{places.root}/runs/{order_id}"

    @abstractmethod
    def needs(self, order: Order) -> list[str]:
        """A program that tells of what an order needs here, an image for example.

        Raises:
            SettingsError: nothing is set that could carry it.
        """

    @abstractmethod
    def prepare(self, order: Order, host: str, answer: str | None, said: str) -> Start:
        """How the order is started, from what `needs` printed (None: it failed and `said` why).

        Raises:
            BackendError: what it needs is not there.
            Unreachable: the carrier does not answer now.
        """

    @abstractmethod
    def look(self, name: str) -> list[str]:
        """A program that prints what `read` reads, or fails and says why."""

    @abstractmethod
    def read(self, answer: str) -> Carried:
        """What `look` printed. Raises BackendError where it cannot be read."""

    @abstractmethod
    def is_absent(self, said: str) -> bool:
        """Whether `look` failed since there is no such order."""

    @abstractmethod
    def error(self, host: str, said: str, order: Order | None = None) -> BackendError:
        """What it said instead of doing what was asked; `Unreachable` if it may pass by itself.

        `order`: the one that it should have started.
        """

    @abstractmethod
    def state(self, name: str) -> list[str]:
        """A program that prints one `State`; it fails where nobody can tell."""

    @abstractmethod
    def wait(self, name: str) -> list[str]:
        """A program that ends when the order does."""

    @abstractmethod
    def stop(self, name: str, grace_s: float) -> list[str]:
        """Ask it to end, and kill it after `grace_s`."""

    @abstractmethod
    def kill(self, name: str) -> list[str]:
        """End it at once."""

    @abstractmethod
    def remove(self, name: str) -> list[str]:
        """Forget an order that has ended."""

    @abstractmethod
    def words(self, name: str, lines: int = WORDS) -> list[str]:
        """The last lines that its first process printed."""

    @abstractmethod
    def running(self, project: str) -> list[str]:
        """A program that prints the ids of a project's orders that run, one a line."""

    def marks(self, name: str, carried: Carried | None) -> Mapping[str, str]:  # noqa: ARG002
        """What a run keeps of its order; also of one that the carrier has forgotten."""
        return carried.marks if carried else {}

    def uses(self, order: Order, gpu: Gpu) -> bool:
        """Whether an order has this GPU of the host."""
        return gpu.index < order.gpus

    @abstractmethod
    def facts(self, name: str | None) -> Mapping[str, list[str]]:
        """Programs whose output may explain a failure, by the file that it is kept in.

        `name`: of the order, where one was started.
        """

    @abstractmethod
    def examination(
        self, host: str, user: Callable[[], str], ask: Ask, *, needs_gpu: bool
    ) -> CarrierChecks:
        """The checks that `cosmos doctor` makes on a host.

        `user`: tells who logs in there, `ask`: runs a program there; both only after the login.
        """
