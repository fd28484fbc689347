"""`cosmos host checkpoints`: an engine's weights on the host, looked at or brought. No Dagster."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.local import SCRIPTS
from cosmos_pipelines.backends.ssh_docker.backend import SshDockerBackend
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.engines.base import HostSetup
from cosmos_pipelines.errors import BackendError, InputError, StateError
from cosmos_pipelines.hosts import orders as host_orders
from cosmos_pipelines.hosts.arrive import Setting, arrive, directories_of, root_of
from cosmos_pipelines.hosts.manifest import read_manifest
from cosmos_pipelines.hosts.orders import Action
from cosmos_pipelines.hosts.records import read_checkpoints
from cosmos_pipelines.hosts.session import (
    OnLine,
    engine_with_setup,
    host_backend,
    log_file,
    setting,
    telling,
)
from cosmos_pipelines.hosts.token import placed, token_of
from cosmos_pipelines.hosts.work import Ended, follow, result_of
from cosmos_pipelines.operations.base import Directory, Order
from cosmos_pipelines.settings import Settings, environment_of


def checkpoints(
    settings: Settings,
    name: str,
    action: Action,
    *,
    deep: bool = False,
    only: Sequence[str] = (),
    on_line: OnLine | None = None,
) -> dict[str, Any]:
    """Verify or download the checkpoints of an engine on the host.

    One with the same wish that goes on there already is followed instead, whoever started it. It
    outlives this process: whoever is interrupted can ask again.

    Raises:
        InputError: there is no such engine, or no such operation or control in its manifest.
        StateError: one with another wish goes on there.
        BackendError: it could not be carried out; a file that is not well is no such failure.
    """
    engine, setup = engine_with_setup(settings, name)
    _check_words(setup, only)
    if action == "download" and settings.docker.network == "none":  # that is meant for runs
        open_to_all = settings.docker.model_copy(update={"network": None})
        settings = settings.model_copy(update={"docker": open_to_all})
    log = log_file(settings, f"{engine.name}-checkpoints")
    with telling(log, on_line) as tell, closing(host_backend(settings)) as backend:
        at = setting(engine, setup, backend, tell)
        try:
            wish = _Wish(action, deep, tuple(only))
            ended = _going_on(at, engine, backend, wish) or _started(
                settings, at, engine, backend, wish
            )
        except KeyboardInterrupt:
            tell("It goes on there: the same command shows it again, --stop ends it.")
            raise
        told = _result(at, backend, ended)
        backend.discard(ended.handle.order_id, again=True)
        return {"engine": engine.name, "host": at.host.host, **told, "log": str(log)}


def stop_checkpoints(settings: Settings, name: str) -> dict[str, Any]:
    """End what verifies or downloads checkpoints on the host.

    Raises:
        StateError: nothing does.
    """
    engine, _ = engine_with_setup(settings, name)
    with closing(host_backend(settings)) as backend:
        root = root_of(backend.host)
        handle = backend.find(host_orders.checkpoints_id(engine.name, root)) if root else None
        if handle is None or not backend.alive(handle):
            raise StateError(f"Nothing verifies or downloads checkpoints on {backend.host.host}.")
        backend.cancel(handle)
        backend.discard(handle.order_id, again=True)
        return {"engine": engine.name, "host": backend.host.host, "stopped": True}


@dataclass(frozen=True)
class _Wish:
    action: Action
    deep: bool
    only: tuple[str, ...]

    def order(self, at: Setting, engine: Engine, root: str, token: Directory | None) -> Order:
        """The order for it."""
        return host_orders.checkpoints_order(
            at.engine,
            root,
            at.setup,
            directories_of(engine),
            self.action,
            deep=self.deep,
            only=self.only,
            token=token,
        )


def _going_on(at: Setting, engine: Engine, backend: SshDockerBackend, wish: _Wish) -> Ended | None:
    """The end of what was started before; None if nothing goes on there."""
    root = root_of(at.host)
    if root is None:
        return None
    order = wish.order(at, engine, root, None)
    handle = backend.find(order.id)
    if handle is None:
        return None
    if not backend.alive(handle):
        backend.discard(handle.order_id, again=True)
        return None
    _check_same(at, backend, handle, order)
    what = "a download" if wish.action == "download" else "a verification"
    at.tell(f"{what} goes on there since {backend.running_s(handle):.0f} s; it is shown here.")
    return follow(backend, handle, at.tell)


def _check_same(at: Setting, backend: SshDockerBackend, handle: Handle, order: Order) -> None:
    """Raise StateError if what runs there answers another question."""
    running = backend.order_of(handle).argv
    if running != order.argv:
        words = " ".join(running[3:])
        raise StateError(
            f"Another `checkpoints.py {words}` runs on {at.host.host}: wait for it, or --stop it."
        )


def _started(
    settings: Settings, at: Setting, engine: Engine, backend: SshDockerBackend, wish: _Wish
) -> Ended:
    token = None
    if wish.action == "download":
        file = settings.remote.hf_token_file
        given = None if file is None else settings.home / file.expanduser()
        token = token_of(environment_of(settings), given)
    arrived = arrive(at, code=False)
    with placed(at.host, arrived.root, at.engine, token) as directory:
        order = wish.order(at, engine, arrived.root, directory)
        handle = backend.launch(order)
        _check_same(at, backend, handle, order)  # somebody may have been faster
        return follow(backend, handle, at.tell)


def _result(at: Setting, backend: SshDockerBackend, ended: Ended) -> dict[str, Any]:
    outcome, where = ended.outcome, at.host.host
    if outcome.stopped is not None:
        raise BackendError(
            "cancelled", f"It was stopped on {where}.", hint="A download goes on where it was."
        )
    if outcome.exit_code is None:
        raise BackendError("lost", f"It vanished on {where}.", hint="Start it again.")
    if host_orders.RESULT not in outcome.outputs:
        raise BackendError(
            "model_failed",
            f"checkpoints.py on {where} ended with exit code {outcome.exit_code}: {ended.last}",
        )
    try:
        return read_checkpoints(result_of(backend, ended.handle))
    except InputError as e:
        raise BackendError("model_failed", f"What came of {where} cannot be read: {e}") from None


def _check_words(setup: HostSetup, only: Sequence[str]) -> None:
    files = read_manifest(SCRIPTS / setup.manifest).files
    known = {word for file in files for word in (*file.needed_for, file.control) if word}
    if unknown := sorted(set(only) - known):
        raise InputError(
            f"Nothing is needed for {', '.join(unknown)}.",
            hint=f"Known: {', '.join(sorted(known))}.",
        )
