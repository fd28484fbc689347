"""Orders as containers on a GPU host, reached over SSH.

The container's name is a function of the order: the engine refuses a second start. It outlives the
connection and this process; whoever asks later finds it by its name. A host that is gone for a
while is waited for, then the run is `unreachable`: what goes on there can be found again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import ClassVar, Final

from cosmos_pipelines.backends import facts, run_folder
from cosmos_pipelines.backends.base import Backend, Handle, StopReason
from cosmos_pipelines.backends.local import SCRIPTS
from cosmos_pipelines.backends.ssh_docker import facts as host_facts
from cosmos_pipelines.backends.ssh_docker import script as host_script
from cosmos_pipelines.backends.ssh_docker.container import (
    ORDER_LABEL,
    PROJECT_LABEL,
    container_name,
    gpus_of,
)
from cosmos_pipelines.backends.ssh_docker.folder import LOOK_S, HostFolder, Seen, handle_of
from cosmos_pipelines.backends.ssh_docker.follow import CLOCK_S, Following
from cosmos_pipelines.backends.ssh_docker.launch import START_S, Launching
from cosmos_pipelines.backends.ssh_docker.patience import Patience
from cosmos_pipelines.errors import BackendError, OutputMissing, StateError
from cosmos_pipelines.operations.base import Order, Outcome
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import parse_ids, parse_inspect, parse_problem
from cosmos_pipelines.remote.files import transfer
from cosmos_pipelines.remote.gpu import Gpu, GpuReader, GpuState
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from cosmos_pipelines.settings import Docker

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
        self.grace_s = grace_s
        self._patiently = Patience(wait_s)
        self._launching = Launching(self.host, containers, project, scripts, self._patiently)
        self._clocks: dict[str, tuple[float, float]] = {}
        self._followed: set[str] = set()
        self._gpus = GpuReader(lambda argv: self.host.connection.run(argv, timeout_s=facts.ASK_S))

    def launch(self, order: Order) -> Handle:
        """See `Backend.launch`. A host that was never reached is not waited for.

        Raises:
            SettingsError: no image is set.
            BackendError: also `launch_failed` where the image is not there, before any upload.
        """
        return self._handle(self._launching.launch(order))

    def find(self, order_id: str, wait_s: float = 0) -> Handle | None:
        """See `Backend.find`."""
        self._patiently.reached |= wait_s > 0  # it was there, or nobody would ask
        seen = self._patiently(lambda: self.host.look(order_id), wait_s)
        return self._handle(seen) if seen.started else None

    def order_of(self, handle: Handle) -> Order:
        """See `Backend.order_of`. Raises BackendError, `lost`, if its folder is gone."""
        seen = self._look(handle.order_id, run_folder.ORDER)
        if run_folder.ORDER not in seen.files:
            raise BackendError("lost", f"The run folder {handle.run_dir} on {handle.host} is gone.")
        return run_folder.read_order(seen.files[run_folder.ORDER], handle.order_id)

    def running_s(self, handle: Handle) -> float:
        """See `Backend.running_s`; it stands still while the host is out of sight."""
        if handle.order_id not in self._clocks or handle.order_id not in self._followed:
            self._tell(self._look(handle.order_id))
        seconds, at = self._clocks[handle.order_id]
        return seconds + min(time.monotonic() - at, 2 * CLOCK_S)

    def follow(self, handle: Handle, offset: int = 0) -> Generator[bytes]:
        """See `Backend.follow`. Raises Unreachable after `wait_s` without the host."""
        self._patiently.reached = True
        self._followed.add(handle.order_id)
        try:
            following = Following(self.host, handle, self._patiently.wait_s, self._tell)
            yield from following.chunks(offset)
        finally:
            self._followed.discard(handle.order_id)

    def outcome(self, handle: Handle) -> Outcome:
        """See `Backend.outcome`."""
        files = (*host_script.RECORDS, run_folder.RESULT, run_folder.FINISHED)
        seen = self._look(handle.order_id, *files)
        if seen.alive:
            raise StateError(f"Order {handle.order_id} is still running.")
        texts = (seen.files.get(name) for name in run_folder.OUTCOME)
        outcome = run_folder.read_outcome(*texts)
        if outcome.exit_code is None and seen.container and seen.container.oom_killed:
            return outcome.model_copy(update={"exit_code": 137})
        return outcome

    def finished(self, handle: Handle) -> Outcome:
        """See `Backend.finished`."""
        own = self._look(handle.order_id, run_folder.FINISHED).files.get(run_folder.FINISHED)
        return run_folder.read_outcome(None, None, None, own)

    def collect(
        self, handle: Handle, names: Mapping[str, Path], outcome: Outcome | None = None
    ) -> None:
        """See `Backend.collect`; what a cut has left is continued."""
        made = (outcome or self.outcome(handle)).outputs
        wanted = []
        for name, target in names.items():
            if name not in made:
                raise OutputMissing(f"Order {handle.order_id} made no {name!r}.")
            remote = f"{handle.run_dir}/outputs/{run_folder.inside(name)}"
            wanted.append(transfer.Wanted(remote, target, made[name]))
        self._patiently(lambda: transfer.get_files(self.host.connection, wanted))

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

    def discard(self, order_id: str, *, again: bool = False) -> None:
        """See `Backend.discard`. `again`: an order of this id may be started another time."""
        run_folder.check_order_id(order_id)
        name = container_name(order_id)

        def remove() -> None:
            seen = self.host.look(order_id)
            if seen.alive:
                raise StateError(
                    f"Order {order_id} is still running.", hint="Cancel it before removing it."
                )
            argv = host_script.discard(
                self.host.remote_dir,
                order_id,
                uuid.uuid4().hex,
                again=again,
                remove=docker.rm_argv(name),
            )
            if refused := self.host.ask(argv, timeout_s=START_S).refused():
                raise refused

        self._patiently(remove, min(self._patiently.wait_s, STOP_WAIT_S))
        self._clocks.pop(order_id, None)

    def active(self) -> list[str]:
        """See `Backend.active`: those of this project."""
        ids = parse_ids(self._docker(docker.ps_argv({PROJECT_LABEL: self.project}, running=True)))
        if not ids:
            return []
        found = parse_inspect(self._docker(docker.inspect_argv(*ids), may_miss=True))
        return sorted(c.labels[ORDER_LABEL] for c in found if c.alive and ORDER_LABEL in c.labels)

    def gpus(self, order: Order | None = None) -> GpuState:
        """See `Backend.gpus`."""
        state = self._gpus.read()
        if order is None:
            return state
        used = gpus_of(order, self.containers)
        return GpuState(tuple(g for g in state.gpus if _is_one_of(g, used)), state.problem)

    def examine(self, handle: Handle | None) -> dict[str, str]:
        """See `Backend.examine`."""
        return host_facts.examine(self.host, handle.order_id if handle else None)

    def close(self) -> None:
        """End the connection; what runs on the host goes on."""
        self.host.connection.close()

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

        return self._patiently(stop, min(self._patiently.wait_s, STOP_WAIT_S))

    def _look(self, order_id: str, *files: str) -> Seen:
        return self._patiently(lambda: self.host.look(order_id, *files))

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


def _is_one_of(gpu: Gpu, used: docker.Gpus) -> bool:
    """Whether a container that was given these GPUs has this one."""
    if isinstance(used, tuple):
        return str(gpu.index) in used or gpu.uuid in used
    return used == "all" or gpu.index < (used or 0)
