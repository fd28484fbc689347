"""`cosmos host setup`: a GPU host made ready for an engine, and a test that it is."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from cosmos_pipelines.backends.carriers.container import image_of
from cosmos_pipelines.backends.registry import host_backend
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

SMOKE_S: Final = 1800.0
"""Seconds that imports may take, from a cold disk."""


def set_up(
    settings: Settings, name: str, request: SetupRequest, on_line: OnLine | None = None
) -> dict[str, Any]:
    """Have code and image of an engine on the host and test that it imports what it needs.

    `on_line` is told each step, and what git and Docker say; all of it is kept in
    `outputs/host_setup/<engine>.log`.

    Raises:
        InputError: there is no such engine, or it needs no set-up.
        StateError: containers use the code that would be replaced.
        BackendError: a step failed; those before it stay.
    """
    engine, setup = engine_with_setup(settings, name)
    settings = _without_the_tag(settings, engine.name, setup.image)
    log = log_file(settings, engine.name)
    with telling(log, on_line) as tell, closing(host_backend(settings)) as backend:
        at = engine_on_host(engine, setup, backend, tell)
        arrived = arrive(at)
        commit = have_code(at, arrived, request.source)
        candidate = have_image(at, arrived.root, commit, request, recorded(at))
        facts = _facts(at, commit, candidate, arrived, log)
        record(at, arrived.root, facts)
        used = image_of(settings.docker, engine.name, setup.image)
        if used != setup.image:
            tell(f"warning: runs use {used}, which settings name, and so does the smoke test.")
        return _judged(at, engine, backend, candidate, facts, arrived.root)


def _without_the_tag(settings: Settings, engine: str, tag: str) -> Settings:
    """Settings that name the engine's own tag as its image: the test is of what shall get it."""
    images = {k: v for k, v in settings.docker.images.items() if (k, v) != (engine, tag)}
    docker = settings.docker.model_copy(update={"images": images})
    return settings.model_copy(update={"docker": docker})


def _judged(
    at: EngineOnHost,
    engine: Engine,
    backend: SshBackend,
    candidate: CandidateImage,
    facts: dict[str, Any],
    root: str,
) -> dict[str, Any]:
    """Test what was set up and record how it ended; only what passed gets the engine's tag."""
    try:
        smoke = facts["smoke"] = _smoke(at, engine, backend, candidate.name)
    except (KeyboardInterrupt, BackendError):
        with suppress(BackendError):
            put_aside(at, candidate)
        raise
    if not smoke["passed"]:
        put_aside(at, candidate)
        record(at, root, facts)
        raise _smoke_failed(at, smoke, facts["log"])
    image = settle(at, candidate)
    if smoke["image_digest"] == candidate.image.digest:  # its new name may have another
        smoke["image_digest"] = image.digest
    return record(at, root, facts | {"image_id": image.id, "image_digest": image.digest})


def _facts(
    at: EngineOnHost, commit: str, candidate: CandidateImage, arrived: Arrived, log: Path
) -> dict[str, Any]:
    return {
        "engine": at.engine,
        "host": at.host.host,
        "commit": commit,
        "verified": commit == at.setup.commit,
        "code": at.directories["code"],
        "root": arrived.root,
        "image": at.setup.image,
        "image_id": candidate.image.id,
        "image_digest": candidate.image.digest,
        "dockerfile": candidate.dockerfile,
        "log": str(log),
    }


def _smoke(at: EngineOnHost, engine: Engine, backend: SshBackend, image: str) -> dict[str, Any]:
    """What the smoke test of an image found, and how its process ended."""
    at.tell("smoke test: importing what a run needs ...")
    setup = at.setup.model_copy(update={"image": image})
    order = host_orders.smoke_order(engine.name, setup, engine.directories(), uuid4().hex[:12])
    handle = backend.launch(order)
    try:
        ended = follow(backend, handle, at.tell, SMOKE_S)
    except (KeyboardInterrupt, BackendError):
        with suppress(BackendError):
            backend.cancel(handle)
            backend.discard(order.id)
        raise
    backend.discard(order.id)
    smoke = host_orders.read_smoke(ended.log, ended.outcome.exit_code)
    at.tell(f"smoke test: {'passed' if smoke.passed else 'FAILED'}.")
    return {
        "passed": smoke.passed,
        "found": list(smoke.found),
        "missing": list(smoke.missing),
        "exit_code": ended.outcome.exit_code,
        "image_digest": handle.marks.get("image_digest"),
        "last": ended.last,
    }


def _smoke_failed(at: EngineOnHost, smoke: dict[str, Any], log: str) -> BackendError:
    missing = smoke["missing"]
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    if missing:
        said = f"{missing[0]}{more}"
    elif smoke["exit_code"] != 0:
        said = f"{host_orders.how_it_ended(smoke['exit_code'])}; its last words: {smoke['last']!r}"
    else:
        said = f"it found nothing; it ended with {smoke['last']!r}"
    return BackendError(
        "model_failed",
        f"The smoke test on {at.host.host} failed: {said.rstrip('.')}.",
        hint=f"All that was said is in {log}; --image NAME takes an image of your own.",
    )
