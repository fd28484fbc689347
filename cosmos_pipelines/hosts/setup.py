"""`cosmos host setup`: install an engine on a GPU host, and test the installation."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from cosmos_pipelines.backends.carriers.container import image_of
from cosmos_pipelines.backends.launch_when_free import launch_when_free
from cosmos_pipelines.backends.registry import backend_on, host_place
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.hosts import orders as host_orders
from cosmos_pipelines.hosts.arrive import (
    Arrived,
    EngineOnHost,
    SetupRequest,
    arrive,
    record,
    recorded,
)
from cosmos_pipelines.hosts.code import have_code
from cosmos_pipelines.hosts.follow_order import follow
from cosmos_pipelines.hosts.image import CandidateImage, have_image, put_aside, settle
from cosmos_pipelines.hosts.session import (
    OnLine,
    engine_on_host,
    engine_with_setup,
    log_file,
    telling,
)
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import Place

SMOKE_S: Final = 1800.0
"""Seconds that the imports of a smoke test may take, from a cold disk."""


def set_up(
    settings: Settings,
    name: str,
    request: SetupRequest,
    on_line: OnLine | None = None,
    host: str | None = None,
) -> dict[str, Any]:
    """Install code and image of an engine on a host and test that the engine's imports work.

    `host`: its place; default: that of new runs, or the first. `on_line` gets a line for each step,
    and the output of git and Docker; the same lines are written to
    `outputs/host_setup/<engine>.log`, for a named host `<engine>-<host>.log`.

    Raises:
        InputError: there is no such engine, or the engine needs no set-up.
        SettingsError: there is no such host.
        StateError: containers use the code that would be replaced.
        BackendError: a step failed; the steps before it are kept.
    """
    engine, setup = engine_with_setup(settings, name)
    place = _without_the_tag(host_place(settings, host), engine.name, setup.image)
    log = log_file(settings, engine.name, place)
    with telling(log, on_line) as tell, closing(backend_on(settings, place)) as backend:
        target = engine_on_host(engine, setup, backend, tell)
        arrived = arrive(target)
        commit = have_code(target, arrived, request.source)
        candidate = have_image(target, arrived.root, commit, request, recorded(target))
        facts = _facts(target, commit, candidate, arrived, log)
        record(target, arrived.root, facts)
        used = image_of(place.docker, engine.name, setup.image)
        if used != setup.image:
            tell(f"warning: the settings name {used}: runs and the smoke test use that image.")
        return _test(target, engine, backend, candidate, facts, arrived.root)


def _without_the_tag(place: Place, engine: str, tag: str) -> Place:
    """Remove the engine's own tag from the images of a place: the test must use the new image."""
    images = {k: v for k, v in place.docker.images.items() if (k, v) != (engine, tag)}
    return replace(place, docker=place.docker.model_copy(update={"images": images}))


def _test(
    target: EngineOnHost,
    engine: Engine,
    backend: SshBackend,
    candidate: CandidateImage,
    facts: dict[str, Any],
    root: str,
) -> dict[str, Any]:
    """Test the image and record the result; an image gets the engine's tag only if it passed."""
    try:
        smoke = facts["smoke"] = _smoke(target, engine, backend, candidate.name)
    except (KeyboardInterrupt, BackendError):
        with suppress(BackendError):
            put_aside(target, candidate)
        raise
    if not smoke["passed"]:
        put_aside(target, candidate)
        record(target, root, facts)
        raise _smoke_failed(target, smoke, facts["log"])
    image = settle(target, candidate)
    if smoke["image_digest"] == candidate.image.digest:  # the digest may depend on the name
        smoke["image_digest"] = image.digest
    return record(target, root, facts | {"image_id": image.id, "image_digest": image.digest})


def _facts(
    target: EngineOnHost, commit: str, candidate: CandidateImage, arrived: Arrived, log: Path
) -> dict[str, Any]:
    return {
        "engine": target.engine,
        "host": target.host.host,
        "commit": commit,
        "verified": commit == target.setup.commit,
        "code": target.directories["code"],
        "root": arrived.root,
        "image": target.setup.image,
        "image_id": candidate.image.id,
        "image_digest": candidate.image.digest,
        "dockerfile": candidate.dockerfile,
        "log": str(log),
    }


def _smoke(target: EngineOnHost, engine: Engine, backend: SshBackend, image: str) -> dict[str, Any]:
    """Run the smoke test of an image; return what it found and how its process ended."""
    target.tell("smoke test: importing what a run needs ...")
    setup = target.setup.model_copy(update={"image": image})
    order = host_orders.smoke_order(engine.name, setup, engine.directories(), uuid4().hex[:12])
    handle = launch_when_free(backend, order, target.tell)
    try:
        ended = follow(backend, handle, target.tell, SMOKE_S)
    except (KeyboardInterrupt, BackendError):
        with suppress(BackendError):
            backend.cancel(handle)
            backend.discard(order.id)
        raise
    backend.discard(order.id)
    smoke = host_orders.read_smoke(ended.log, ended.outcome.exit_code)
    target.tell(f"smoke test: {'passed' if smoke.passed else 'FAILED'}.")
    return {
        "passed": smoke.passed,
        "found": list(smoke.found),
        "missing": list(smoke.missing),
        "exit_code": ended.outcome.exit_code,
        "image_digest": handle.marks.get("image_digest"),
        "last": ended.last,
    }


def _smoke_failed(target: EngineOnHost, smoke: dict[str, Any], log: str) -> BackendError:
    missing = smoke["missing"]
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    if missing:
        reason = f"{missing[0]}{more}"
    elif smoke["exit_code"] != 0:
        reason = f"{host_orders.how_it_ended(smoke['exit_code'])}; its last line: {smoke['last']!r}"
    else:
        reason = f"the test imported nothing; its last line: {smoke['last']!r}"
    return BackendError(
        "model_failed",
        f"The smoke test on {target.host.host} failed: {reason.rstrip('.')}.",
        hint=f"The whole output is in {log}; --image NAME takes your own image.",
    )
