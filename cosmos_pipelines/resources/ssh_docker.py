"""Orders as containers on a GPU host, reached over SSH.

The container's name is a function of the order: the engine refuses a second start. It outlives the
connection and this process; whoever asks later finds it by its name. A host that is gone for a
while is waited for, then the run is `unreachable`: what goes on there can be found again.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from loguru import logger

from cosmos_pipelines.errors import BackendError, LinkLost, OutputMissing, StateError, Unreachable
from cosmos_pipelines.operations.base import Order, Outcome
from cosmos_pipelines.remote import docker, transfer
from cosmos_pipelines.remote.docker_answers import parse_ids, parse_inspect, parse_problem
from cosmos_pipelines.remote.ssh import Connection, Target
from cosmos_pipelines.resources import host_script, run_folder
from cosmos_pipelines.resources.backend import Backend, Handle, StopReason
from cosmos_pipelines.resources.container import (
    ORDER_LABEL,
    PROJECT_LABEL,
    container_name,
    image_of,
    spec_of,
)
from cosmos_pipelines.resources.following import CLOCK_S, Following
from cosmos_pipelines.resources.host_folder import (
    LOOK_S,
    Answer,
    HostFolder,
    Seen,
    handle_of,
    wait_out,
)
from cosmos_pipelines.resources.local import SCRIPTS
from cosmos_pipelines.resources.parcel import order_parcel, scripts_parcel
from cosmos_pipelines.settings import Docker

T = TypeVar("T")

START_S: Final = 180.0
"""Seconds that Docker may take to start a container; with many GPUs it takes several."""

STOP_WAIT_S: Final = 60.0
"""How long a host that is gone is waited for to stop or remove something there."""


class SshDockerBackend(Backend):
    """Runs orders in containers of a host; it connects when first asked for something."""

    name: ClassVar[str] = "ssh_docker"

    def __init__(
        self,
        target: Target,
        remote_dir: str,
        containers: Docker,
        project: str,
        *,
        wait_s: float = 3600.0,
        grace_s: float = 10.0,
        scripts: Path = SCRIPTS,
    ) -> None:
        self.host = HostFolder(Connection(target), remote_dir)
        self.containers = containers
        self.project = project
        self.wait_s = wait_s
        self.grace_s = grace_s
        self.scripts = scripts
        self._reached = False
        self._clocks: dict[str, tuple[float, float]] = {}
        self._followed: set[str] = set()
        self._lock = threading.Lock()

    def launch(self, order: Order) -> Handle:
        """See `Backend.launch`. A host that was never reached is not waited for.

        Raises:
            SettingsError: no image is set.
            BackendError: also `launch_failed` where the image is not there, before any upload.
        """
        parcel = order_parcel(order)
        wanted = image_of(self.containers, order.engine)
        scripts = scripts_parcel(self.scripts)
        arrived = self._steadily(lambda: self._arrive(order.id, wanted, scripts.name), self.wait_s)
        seen = arrived.seen(order.id)
        if seen.started:
            return self._handle(seen)
        image = arrived.image(wanted)
        root = arrived.parts["root"]
        self._upload(order, root)
        if "scripts" not in arrived.parts:
            argv = host_script.bring_scripts(root, scripts.name, uuid.uuid4().hex)
            self._steadily(
                lambda: self.host.ask(argv, input=scripts.tar, timeout_s=START_S), self.wait_s
            )
        spec = spec_of(
            order,
            self.containers,
            image,
            folder=f"{root}/runs/{order.id}",
            scripts=f"{root}/scripts/{scripts.name}",
            user=arrived.parts["user"],
            project=self.project,
        )
        return self._start(order, root, spec, parcel)

    def find(self, order_id: str, wait_s: float = 0) -> Handle | None:
        """See `Backend.find`."""
        self._reached = self._reached or wait_s > 0
        seen = self._steadily(lambda: self.host.look(order_id), wait_s)
        return self._handle(seen) if seen.started else None

    def order_of(self, handle: Handle) -> Order:
        """See `Backend.order_of`. Raises BackendError, `lost`, if its folder is gone."""
        seen = self._look(handle.order_id, run_folder.ORDER)
        if run_folder.ORDER not in seen.files:
            raise BackendError("lost", f"The run folder {handle.run_dir} on {handle.host} is gone.")
        return Order.model_validate_json(seen.files[run_folder.ORDER])

    def running_s(self, handle: Handle) -> float:
        """See `Backend.running_s`; it stands still while the host is out of sight."""
        if handle.order_id not in self._clocks or handle.order_id not in self._followed:
            self._tell(self._look(handle.order_id))
        seconds, at = self._clocks[handle.order_id]
        return seconds + min(time.monotonic() - at, 2 * CLOCK_S)

    def follow(self, handle: Handle, offset: int = 0) -> Generator[bytes]:
        """See `Backend.follow`. Raises Unreachable after `wait_s` without the host."""
        self._reached = True
        self._followed.add(handle.order_id)
        try:
            yield from Following(self.host, handle, self.wait_s, self._tell).chunks(offset)
        finally:
            self._followed.discard(handle.order_id)

    def outcome(self, handle: Handle) -> Outcome:
        """See `Backend.outcome`."""
        files = (*host_script.RECORDS, run_folder.RESULT)
        seen = self._look(handle.order_id, *files)
        if seen.alive:
            raise StateError(f"Order {handle.order_id} is still running.")
        texts = (run_folder.EXIT_CODE, run_folder.RESULT, run_folder.STOP)
        outcome = run_folder.read_outcome(*(seen.files.get(name) for name in texts))
        if outcome.exit_code is None and seen.container and seen.container.oom_killed:
            return outcome.model_copy(update={"exit_code": 137})
        return outcome

    def collect(self, handle: Handle, names: Mapping[str, Path]) -> None:
        """See `Backend.collect`; what a cut has left is continued."""
        made = self.outcome(handle).outputs
        wanted = []
        for name, target in names.items():
            if name not in made:
                raise OutputMissing(f"Order {handle.order_id} made no {name!r}.")
            remote = f"{handle.run_dir}/outputs/{run_folder.inside(name)}"
            wanted.append(transfer.Wanted(remote, target, made[name]))
        self._steadily(lambda: transfer.get_files(self.host.connection, wanted), self.wait_s)

    def cancel(
        self, handle: Handle, grace_s: float | None = None, reason: StopReason = "cancelled"
    ) -> None:
        """See `Backend.cancel`. Raises Unreachable where the host is away for longer than 60 s."""
        grace = self.grace_s if grace_s is None else grace_s
        try:
            seen = self._stop(handle, grace, reason)
        except KeyboardInterrupt:  # the user does not want to wait for its grace
            self._stop(handle, 0, reason)
            raise
        if seen.alive:
            raise BackendError(
                "lost",
                f"The container {handle.container_name} on {handle.host} cannot be stopped.",
                hint=f"Look at it there: `docker inspect {handle.container_name}`.",
            )

    def alive(self, handle: Handle) -> bool:
        """See `Backend.alive`."""
        return self._look(handle.order_id).alive

    def discard(self, order_id: str) -> None:
        """See `Backend.discard`."""
        run_folder.check_order_id(order_id)
        name = container_name(order_id)

        def remove() -> None:
            seen = self.host.look(order_id)
            if seen.alive:
                raise StateError(
                    f"Order {order_id} is still running.", hint="Cancel it before removing it."
                )
            argv = host_script.discard(
                self.host.remote_dir, order_id, uuid.uuid4().hex, remove=docker.rm_argv(name)
            )
            said = self.host.ask(argv, timeout_s=START_S).parts.get("problem")
            if said is not None:
                raise parse_problem(said).error(self.host.host)

        self._steadily(remove, min(self.wait_s, STOP_WAIT_S))
        self._clocks.pop(order_id, None)

    def active(self) -> list[str]:
        """See `Backend.active`: those of this project."""
        ids = parse_ids(self._docker(docker.ps_argv({PROJECT_LABEL: self.project}, running=True)))
        if not ids:
            return []
        found = parse_inspect(self._docker(docker.inspect_argv(*ids), may_miss=True))
        return sorted(c.labels[ORDER_LABEL] for c in found if c.alive and ORDER_LABEL in c.labels)

    def close(self) -> None:
        """End the connection; what runs on the host goes on."""
        self.host.connection.close()

    def _arrive(self, order_id: str, image: str, scripts: str) -> Answer:
        argv = host_script.arrive(
            self.host.remote_dir,
            scripts,
            order_id,
            image=docker.image_argv(image),
            inspect=docker.inspect_argv(container_name(order_id)),
        )
        return self.host.ask(argv, timeout_s=LOOK_S)

    def _upload(self, order: Order, root: str) -> None:
        files = [(Path(v.path), v.sha256, v.size) for v in order.inputs.values()]
        if files:
            sent = self._steadily(
                lambda: transfer.put_files(self.host.connection, files, f"{root}/cas"), self.wait_s
            )
            logger.info(
                "Sent {n} of {all} files, {size} bytes, to {host}",
                n=sent.files, all=len(files), size=sent.size, host=self.host.host,
            )  # fmt: skip

    def _start(self, order: Order, root: str, spec: docker.ContainerSpec, parcel: bytes) -> Handle:
        """Start the container once; where an answer was lost, look before asking again."""
        argv = host_script.start(
            root,
            order.id,
            uuid.uuid4().hex,
            [(v.sha256, str(run_folder.inside(name))) for name, v in order.inputs.items()],
            start=docker.run_argv(spec),
            state=docker.state_argv(spec.name),
            remove=docker.rm_argv(spec.name),
            words=docker.logs_argv(spec.name, tail=20),
            inspect=docker.inspect_argv(spec.name),
        )
        asked = False

        def start() -> Handle:
            nonlocal asked
            if asked and (seen := self.host.look(order.id)).started:
                return self._handle(seen)
            asked = True
            answer = self.host.ask(argv, input=parcel, timeout_s=START_S)
            seen = answer.seen(order.id)
            if not seen.started:
                raise answer.refused() or BackendError(
                    "launch_failed", f"{self.host.host} did not start {order.id} nor say why."
                )
            return self._handle(seen)

        return self._steadily(start, self.wait_s)

    def _stop(self, handle: Handle, grace_s: float, reason: StopReason) -> Seen:
        name = container_name(handle.order_id)
        argv = host_script.stop(
            handle.run_dir,
            reason,
            state=docker.state_argv(name),
            stop=docker.stop_argv(name, round(grace_s)),
            kill_=docker.kill_argv(name),
            inspect=docker.inspect_argv(name),
        )

        def stop() -> Seen:
            self.host.look(handle.order_id)  # nothing but ours is stopped
            return self.host.ask(argv, timeout_s=grace_s + LOOK_S).seen(handle.order_id)

        return self._steadily(stop, min(self.wait_s, STOP_WAIT_S))

    def _look(self, order_id: str, *files: str) -> Seen:
        return self._steadily(lambda: self.host.look(order_id, *files), self.wait_s)

    def _handle(self, seen: Seen) -> Handle:
        self._tell(seen)
        return handle_of(seen, self.host.host, self.host.path(seen.order_id))

    def _tell(self, seen: Seen) -> None:
        if seen.running_s is not None:
            self._clocks[seen.order_id] = (seen.running_s, seen.read_at)

    def _docker(self, argv: list[str], *, may_miss: bool = False) -> str:
        done = self.host.connection.run(argv, timeout_s=LOOK_S)
        if done.exit_code != 0 and not may_miss:
            raise parse_problem(done.stderr.decode(errors="replace")).error(self.host.host)
        return done.stdout.decode(errors="replace")

    def _steadily(self, ask: Callable[[], T], wait_s: float) -> T:
        """Ask again while the host is away, if it was there before."""
        since, pause = time.monotonic(), 0.2
        while True:
            try:
                answer = ask()
            except Unreachable as e:
                if not self._reached and not isinstance(e, LinkLost):
                    raise
                wait_out(e, since, wait_s)
                logger.warning("Waiting for {host}: {why}", host=self.host.host, why=e.message)
            else:
                self._reached = True
                return answer
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not all at once
            pause = min(pause * 2, 5.0)
