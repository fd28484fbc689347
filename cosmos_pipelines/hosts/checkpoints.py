"""`cosmos host checkpoints`: verify or download an engine's weights on the host."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.registry import backend_on, host_backend, host_place
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.backends.tar_bundle import SCRIPTS
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.engines.base import HostSetup
from cosmos_pipelines.errors import BackendError, InputError, StateError
from cosmos_pipelines.hosts import orders as host_orders
from cosmos_pipelines.hosts.arrive import EngineOnHost, arrive, root_of
from cosmos_pipelines.hosts.follow_order import Ended, follow, result_of
from cosmos_pipelines.hosts.manifest import read_manifest
from cosmos_pipelines.hosts.orders import Action
from cosmos_pipelines.hosts.records import read_checkpoints
from cosmos_pipelines.hosts.session import (
    OnLine,
    engine_on_host,
    engine_with_setup,
    log_file,
    telling,
)
from cosmos_pipelines.hosts.token import placed, token_of
from cosmos_pipelines.operations.base import Directory, Order
from cosmos_pipelines.settings import Settings, environment_of
from cosmos_pipelines.settings_hosts import Place


def checkpoints(
    settings: Settings,
    name: str,
    action: Action,
    *,
    deep: bool = False,
    only: Sequence[str] = (),
    on_line: OnLine | None = None,
    host: str | None = None,
) -> dict[str, Any]:
    """Verify or download the checkpoints of an engine on a host, by default that of new runs.

    If an order with the same request is active on the host, also from another process, that order
    is followed. The order outlives this process: an interrupted command can be given again.

    Raises:
        InputError: there is no such engine, or no such operation or control in its manifest.
        SettingsError: there is no such host.
        StateError: an order with another request is active on the host.
        BackendError: the order failed; a missing or broken checkpoint does not count as a failure.
    """
    engine, setup = engine_with_setup(settings, name)
    _check_only(setup, only)
    place = host_place(settings, host)
    if action == "download" and place.docker.network == "none":  # `network` is meant for runs
        place = replace(place, docker=place.docker.model_copy(update={"network": None}))
    log = log_file(settings, f"{engine.name}-checkpoints", place)
    with telling(log, on_line) as tell, closing(backend_on(settings, place)) as backend:
        target = engine_on_host(engine, setup, backend, tell)
        try:
            request = _CheckpointsRequest(action, deep, tuple(only))
            ended = _follow_active(target, engine, backend, request) or _start(
                settings, place, target, engine, backend, request
            )
        except KeyboardInterrupt:
            tell(f"The {action} continues on the host: the same command shows it, --stop ends it.")
            raise
        result = _result(target, backend, ended)
        backend.discard(ended.handle.order_id, again=True)
        return {"engine": engine.name, "host": target.host.host, **result, "log": str(log)}


def stop_checkpoints(settings: Settings, name: str, host: str | None = None) -> dict[str, Any]:
    """Stop the order that verifies or downloads checkpoints on a host.

    Raises:
        StateError: no such order is active.
    """
    engine, _ = engine_with_setup(settings, name)
    with closing(host_backend(settings, host)) as backend:
        root = root_of(backend.host)
        handle = backend.find(host_orders.checkpoints_id(engine.name, root)) if root else None
        if handle is None or not backend.alive(handle):
            raise StateError(f"No verify or download of checkpoints runs on {backend.host.host}.")
        backend.cancel(handle)
        backend.discard(handle.order_id, again=True)
        return {"engine": engine.name, "host": backend.host.host, "stopped": True}


@dataclass(frozen=True)
class _CheckpointsRequest:
    action: Action
    deep: bool
    only: tuple[str, ...]

    def order(
        self, target: EngineOnHost, engine: Engine, root: str, token: Directory | None
    ) -> Order:
        """Return the order for this request."""
        return host_orders.checkpoints_order(
            target.engine,
            root,
            target.setup,
            engine.directories(),
            self.action,
            deep=self.deep,
            only=self.only,
            token=token,
            manifest=(target.scripts / target.setup.manifest).read_text(encoding="utf-8"),
        )


def _follow_active(
    target: EngineOnHost, engine: Engine, backend: SshBackend, request: _CheckpointsRequest
) -> Ended | None:
    """Follow the active order to its end; None if no order is active on the host."""
    root = root_of(target.host)
    if root is None:
        return None
    order = request.order(target, engine, root, None)
    handle = backend.find(order.id)
    if handle is None:
        return None
    if not backend.alive(handle):
        backend.discard(handle.order_id, again=True)
        return None
    _check_same(target, backend, handle, order)
    name = "download" if request.action == "download" else "verification"
    seconds = f"{backend.running_s(handle):.0f} s"
    target.tell(f"A {name} has been running on the host for {seconds}; its log follows.")
    return follow(backend, handle, target.tell)


def _check_same(target: EngineOnHost, backend: SshBackend, handle: Handle, order: Order) -> None:
    """Raise StateError if the active order has another request."""
    running = backend.order_of(handle).argv
    if running != order.argv:
        words = " ".join(running[3:])
        raise StateError(
            f"Another `checkpoints.py {words}` runs on {target.host.host}.",
            hint="Wait until it ends, or end it with --stop.",
        )


def _start(
    settings: Settings,
    place: Place,
    target: EngineOnHost,
    engine: Engine,
    backend: SshBackend,
    request: _CheckpointsRequest,
) -> Ended:
    token = None
    if request.action == "download":
        file = place.remote.hf_token_file
        given = None if file is None else settings.home / file.expanduser()
        token = token_of(environment_of(settings), given)
    arrived = arrive(target, code=False)
    with placed(target.host, arrived.root, target.engine, token) as directory:
        order = request.order(target, engine, arrived.root, directory)
        handle = backend.launch(order)
        _check_same(target, backend, handle, order)  # another process may have been faster
        return follow(backend, handle, target.tell)


def _result(target: EngineOnHost, backend: SshBackend, ended: Ended) -> dict[str, Any]:
    outcome, host = ended.outcome, target.host.host
    if outcome.stopped is not None:
        raise BackendError(
            "cancelled",
            f"checkpoints.py was stopped on {host}.",
            hint="A download continues where it stopped.",
        )
    if outcome.exit_code is None:
        raise BackendError(
            "lost",
            f"checkpoints.py ended without an exit code on {host}.",
            hint="Start the command again.",
        )
    if host_orders.RESULT not in outcome.outputs:
        raise BackendError(
            "model_failed",
            f"checkpoints.py on {host} ended with exit code {outcome.exit_code}: {ended.last}",
        )
    try:
        return read_checkpoints(result_of(backend, ended.handle))
    except InputError as e:
        raise BackendError(
            "model_failed", f"The result of checkpoints.py on {host} cannot be read: {e}"
        ) from None


def _check_only(setup: HostSetup, only: Sequence[str]) -> None:
    files = read_manifest(SCRIPTS / setup.manifest).files
    known = {word for file in files for word in (*file.needed_for, file.control) if word}
    if unknown := sorted(set(only) - known):
        raise InputError(
            f"No checkpoint is needed for {', '.join(unknown)}.",
            hint=f"Known: {', '.join(sorted(known))}.",
        )
