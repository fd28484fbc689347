"""Runs on a GPU host as they stand there: containers and run folders, asked and read.

<remote_dir>/cas/<sha256>        inputs, uploaded once for ever
<remote_dir>/scripts/<content>/  our gpu_scripts, once for each content
<remote_dir>/runs/<order id>/    run folders; their inputs/ are hard links into cas
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.ssh_docker import script as host_script
from cosmos_pipelines.backends.ssh_docker.container import IMAGE_LABEL, ORDER_LABEL, container_name
from cosmos_pipelines.errors import BackendError, Unreachable, shown
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import (
    Container,
    Image,
    parse_images,
    parse_inspect,
    parse_problem,
)
from cosmos_pipelines.remote.ssh.connection import Completed, Connection

LOOK_S: Final = 30.0
"""Seconds that Docker may take to answer."""


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
    """A run as it stands on its host."""

    order_id: str
    container: Container | None
    """None if there is none, or none that was ever started."""
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
        """Whether its container has processes."""
        return self.container is not None and self.container.alive

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self.container is not None or run_folder.STARTED in self.files

    @property
    def running_s(self) -> float | None:
        """Seconds since its start, by the host's clock; None if that was not asked."""
        if self.clock is None:
            return None
        if run_folder.STARTED in self.files:
            _, ticks, _ = run_folder.read_start(self.files[run_folder.STARTED])
            if ticks:
                return max(0.0, self.clock.uptime_s - ticks / self.clock.ticks)
        begun = self.container.started_at if self.container else None
        return max(0.0, self.clock.now_s - begun.timestamp()) if begun else 0.0


class HostFolder:
    """Our directory on a host and the containers that belong to it."""

    def __init__(self, connection: Connection, remote_dir: str) -> None:
        self.connection = connection
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
        return Answer(self.host, host_script.parts(done.stdout))

    def look(self, order_id: str, *files: str, folder: str | None = None) -> Seen:
        """How a run stands, with the content of these files.

        Raises:
            Unreachable: also where Docker does not answer there.
        """
        name = container_name(order_id)
        argv = host_script.look(
            folder or self.path(order_id),
            *dict.fromkeys((run_folder.STARTED, *files)),
            inspect=docker.inspect_argv(name),
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
    parts: Mapping[str, str]

    def seen(self, order_id: str) -> Seen:
        """The run that was looked at.

        Raises:
            Unreachable: Docker does not answer there.
            BackendError: Docker cannot be used there, or the name belongs to something else.
        """
        container = self._container(order_id)
        return Seen(
            order_id=order_id,
            container=container,
            folder=self.parts.get("folder"),
            files=self.parts,
            log_size=self._number("size") if self.parts.get("size") else 0,
            clock=self._clock(),
            read_at=time.monotonic(),
        )

    def image(self, wanted: str) -> Image:
        """The image that was asked for.

        Raises:
            BackendError: it is not there.
            Unreachable: Docker does not answer there.
        """
        if images := parse_images(self.parts.get("image", "")):
            return images[0]
        said = self.parts.get("no_image", "")
        problem = parse_problem(said)
        if problem.kind == "no_image":
            raise BackendError(
                "launch_failed", f"The image {wanted} is not on {self.host}.", hint=problem.hint
            )
        raise self._error(said)

    def refused(self) -> BackendError | None:
        """Why Docker did not do what was asked; None if it did not say so."""
        said = self.parts.get("refused")
        return None if said is None else self._error(said)

    def _container(self, order_id: str) -> Container | None:
        if "container" not in self.parts:
            said = self.parts.get("no_container", "")
            if parse_problem(said).kind != "no_container":
                raise self._error(said)
            return None
        containers = parse_inspect(self.parts["container"])
        if len(containers) != 1:
            raise self._strange("container")
        found = containers[0]
        if found.labels.get(ORDER_LABEL) != order_id:
            raise BackendError(
                "launch_failed",
                f"On {self.host} the container name {found.name} belongs to something else.",
                hint=f"Rename or remove it there: `docker rename {found.name} other`.",
            )
        # Made, but never started: whoever made it has died, or is about to start it.
        return None if found.status == "created" else found

    def _clock(self) -> Clock | None:
        if "uptime" not in self.parts:
            return None
        uptime = re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", self.part("uptime").strip())
        if uptime is None:
            raise self._strange("uptime")
        return Clock(float(uptime[0]), max(1, self._number("ticks")), float(self._number("now")))

    def part(self, name: str) -> str:
        """A part that must be there. Raises BackendError."""
        if name not in self.parts:
            raise self._strange(name)
        return self.parts[name]

    def _number(self, name: str) -> int:
        number = whole(self.part(name).strip())
        if number is None:
            raise self._strange(name)
        return number

    def _strange(self, name: str) -> BackendError:
        said = f": {shown(self.parts[name])}" if name in self.parts else ""
        return BackendError(
            "launch_failed",
            f"{self.host} did not answer with the {name} that was asked for{said}.",
            hint="Do its shell, df, date and docker behave as usual?",
        )

    def _error(self, said: str) -> BackendError:
        """What Docker said as an error; an engine that does not answer may come back."""
        problem = parse_problem(said)
        if problem.kind == "daemon_down" or not said.strip():
            return Unreachable(self.host, f"Docker on {self.host}: {problem.message}",
                               hint=problem.hint)  # fmt: skip
        return problem.error(self.host)


def handle_of(seen: Seen, host: str, folder: str) -> Handle:
    """What finds a started run again; `folder`: where it was expected."""
    pid = seen.files.get(run_folder.STARTED)
    _, ticks, boot_id = run_folder.read_start(pid) if pid else (0, 0, "")
    return Handle(
        order_id=seen.order_id,
        run_dir=seen.folder or folder,
        boot_id=boot_id,
        host=host,
        started=ticks or None,
        container_id=seen.container.id if seen.container else None,
        container_name=container_name(seen.order_id),
        image_digest=seen.container.labels.get(IMAGE_LABEL) if seen.container else None,
    )
