"""What is going on, and stopping it: status, logs, kill, show. No Dagster in this file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cosmos_pipelines.assets.execution import execute_runs
from cosmos_pipelines.assets.places import Left, Place, left_behind, look_at, places_of
from cosmos_pipelines.assets.run_log import log_file
from cosmos_pipelines.assets.taking import OURS_TO_BLAME
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.errors import InputError, StateError, UnknownId
from cosmos_pipelines.ids import is_prompt_id
from cosmos_pipelines.resources import backend_for
from cosmos_pipelines.resources.process import owner_gone, owner_name
from cosmos_pipelines.settings import Settings

LOG_POLL_S = 0.05


def status(catalog: Catalog, settings: Settings) -> dict[str, Any]:
    """Backend, engine, counts, runs in work, places and their GPUs, what was left behind.

    A host that does not answer is told as a problem of its place, after some seconds.
    """
    before = catalog.active_runs()
    places = places_of(settings, before)
    looked = look_at(settings, places)
    active = catalog.active_runs()
    lost = {run.id for run in orphans(catalog)}
    behind = _left_behind(catalog, looked, before, active, lost)
    engine = engine_named(settings.execution.engine)
    return {
        "home": str(settings.home),
        "catalog": _without_password(settings.catalog_url),
        "backend": settings.execution.backend,
        "engine": engine.name,
        "engine_label": engine.label,
        "simulated": engine.simulated,
        "upscale_engine": settings.execution.engine_for("upscale"),
        "enhance_engine": settings.execution.engine_for("enhance"),
        "counts": catalog.count_by_status(),
        "places": [looked[name].as_dict() for name in places],
        "active": [_brief(catalog, run) | {"lost": run.id in lost} for run in active],
        "queued": [_brief(catalog, run) for run in catalog.queued_runs(None)],
        "lost": sorted(lost),
        "orphans": sorted(one.id for one in behind if one.what == "orphan"),
        "left": [one.as_dict() for one in behind],
    }


def _left_behind(
    catalog: Catalog,
    looked: Mapping[str, Place],
    before: Sequence[Run],
    active: Sequence[Run],
    lost: set[str],
) -> list[Left]:
    """What was left behind; a run that began or ended during the look owns its order too."""
    owned = {run.batch_id for run in (*before, *active)}
    unowned = {order for place in looked.values() for order in place.orders or ()} - owned
    given_up = {
        order: run.id
        for order in unowned
        for run in catalog.list_runs(batch_id=order, limit=None)
        if run.error_kind in OURS_TO_BLAME
    }
    ran = {run.id for run in before if run.status == "running"}
    left = [run for run in active if run.id in lost or run.id in ran]
    return left_behind(looked, left, lost, unowned, given_up)


def _brief(catalog: Catalog, run: Run) -> dict[str, Any]:
    prompt = catalog.get_prompt(run.prompt_id) if run.prompt_id else None
    since = run.started_at or run.created_at
    return {
        "id": run.id,
        "model_type": run.model_type,
        "status": run.status,
        "progress": run.progress,
        "prompt": prompt.name if prompt else None,
        "engine": run.engine,
        "backend": run.backend,
        "order": run.batch_id,
        "host": run.host,
        "container": run.container_name,
        "seconds": round((datetime.now(UTC) - since).total_seconds(), 1),
        "executed_by": run.leased_by,
        "dagster_run_id": run.dagster_run_id,
    }


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


def orphans(catalog: Catalog) -> list[Run]:
    """Runs in work whose process has died or let its lease run out."""
    now = datetime.now(UTC)
    return [
        run
        for run in catalog.active_runs()
        if run.leased_by is None
        or run.leased_until is None
        or run.leased_until < now
        or owner_gone(run.leased_by)
    ]


def log_lines(
    catalog: Catalog, settings: Settings, run_id: str, *, follow: bool = False
) -> Iterator[str]:
    """The lines of a run's log (the model's; ours where the model never started).

    With `follow`, new lines as they come, until the run has ended or nobody executes it any more.
    """
    run = catalog.get_run(run_id)
    path = log_file(settings.outputs, run.id)
    if not follow and (not path.exists() or not path.stat().st_size):
        path = path.with_name("cosmos.log")
        if not path.exists():
            raise StateError(f"Run {run.id} is {run.status} and has no log yet.")
    return _lines(catalog, run.id, path, follow)


def _lines(catalog: Catalog, run_id: str, path: Path, follow: bool) -> Iterator[str]:
    position, pending = 0, b""
    while True:
        over = not follow or catalog.get_run(run_id).status not in (*ACTIVE, "pending")
        if path.exists():
            with path.open("rb") as f:
                f.seek(position)
                while chunk := f.read(1 << 16):
                    position += len(chunk)
                    *lines, pending = (pending + chunk).split(b"\n")
                    yield from (line.decode("utf-8", errors="replace") for line in lines)
        if over:
            break
        if any(run.id == run_id for run in orphans(catalog)):
            raise StateError(
                f"The process that executed {run_id} is gone.",
                hint=f"`cosmos run {run_id}` goes on with it.",
            )
        time.sleep(LOG_POLL_S)
    if pending:
        yield pending.decode("utf-8", errors="replace")


def kill(
    catalog: Catalog,
    settings: Settings,
    run_id: str | None,
    *,
    all_runs: bool = False,
    whole_batch: bool = False,
) -> list[Run]:
    """Stop one run, or everything that is in work or queued; returns the runs as they then are.

    What no run owns is not touched: `kill_orphans` does that.

    Raises:
        InputError: neither a run nor all asked for.
        StateError: the run has ended, or shares its model load with others that go on.
    """
    if (run_id is None) != all_runs:
        raise InputError("Give either a run or --all to kill.")
    if run_id is None:
        chosen: Sequence[Run] = [*catalog.active_runs(), *catalog.queued_runs(None)]
    else:
        chosen = _killable(catalog, run_id, whole_batch)
    return [_stop(catalog, settings, run) for run in chosen]


def kill_orphans(catalog: Catalog, settings: Settings) -> list[str]:
    """Stop the orders of this project that no run owns; returns their ids.

    Raises:
        BackendError: one could not be stopped; those before it were.
    """
    stopped = []
    for one in status(catalog, settings)["left"]:
        if one["what"] != "orphan":
            continue
        with closing(backend_for(settings, one["backend"])) as backend:
            if handle := backend.find(one["id"]):
                backend.cancel(handle, settings.execution.grace_s, reason="cancelled")
                stopped.append(one["id"])
    return stopped


def _killable(catalog: Catalog, run_id: str, whole_batch: bool) -> Sequence[Run]:
    run = catalog.get_run(run_id)
    mates = catalog.list_runs(batch_id=run.batch_id, limit=None) if run.batch_id else [run]
    going = [mate for mate in mates if mate.status in ACTIVE]
    if whole_batch and going:
        return going
    others = ", ".join(mate.id for mate in going if mate.id != run.id)
    if run.status not in (*ACTIVE, "pending"):
        hint = f"Add --batch to stop the rest of its model load: {others}." if others else None
        raise StateError(f"Run {run.id} is {run.status}; there is nothing to stop.", hint=hint)
    if others:
        raise StateError(
            f"Run {run.id} shares one model load with {others}.",
            hint="Add --batch to stop them all.",
        )
    return [run]


def _stop(catalog: Catalog, settings: Settings, run: Run) -> Run:
    if run.status == "pending" and catalog.cancel_pending(run.id):
        return catalog.get_run(run.id)
    run = catalog.get_run(run.id)
    backend = backend_for(settings, run.backend)
    handle, grace_s = None, settings.execution.grace_s
    deadline = time.monotonic() + grace_s
    while (run := catalog.get_run(run.id)).status in ACTIVE:
        if handle is None and run.batch_id and (handle := backend.find(run.batch_id)):
            backend.cancel(handle, grace_s, reason="cancelled")
            deadline = time.monotonic() + grace_s
        if any(left.id == run.id for left in orphans(catalog)):
            if handle is None:
                _cancel_unstarted(catalog, run)
            else:
                execute_runs([run.id], catalog=catalog, settings=settings, backend=backend)
        elif time.monotonic() > deadline:
            raise _not_yet(run, started=handle is not None)
        time.sleep(LOG_POLL_S)
    return run


def _cancel_unstarted(catalog: Catalog, run: Run) -> None:
    """End a run whose process died before it had started anything."""
    owner = owner_name()
    if catalog.adopt(run.id, owner):
        said = "Stopped before it had started."
        catalog.advance(
            run.id, owner, run.status, "cancelled", error_kind="cancelled", error_message=said
        )


def _not_yet(run: Run, *, started: bool) -> StateError:
    if started:
        return StateError(
            f"Run {run.id} was stopped, but {run.leased_by} has not recorded it yet.",
            hint="See `cosmos status`.",
        )
    return StateError(
        f"Run {run.id} is {run.status} and has not started yet: nothing was stopped.",
        hint="Ask again in a moment.",
    )


def show(catalog: Catalog, thing: str | Path) -> dict[str, Any]:
    """A prompt, run, scene or recipe by id or name; or how a video file was made.

    Raises:
        UnknownId: nothing of the kind.
        MediaError: the file is no readable video.
    """
    path = Path(thing)
    if path.is_file():
        return _show_file(path)
    text = str(thing)
    if text.startswith(("rs_", "latest")):
        return {"type": "run"} | catalog.get_run(text).as_dict()
    if is_prompt_id(text) or text.startswith("ps_"):
        return {"type": "prompt"} | catalog.get_prompt(text).as_dict()
    for kind, rows in (("scene", catalog.list_scenes()), ("recipe", catalog.list_recipes())):
        for row in rows:
            if text == (row.as_dict().get("key") or row.as_dict().get("name")):
                return {"type": kind} | row.as_dict()
    try:
        return {"type": "prompt"} | catalog.get_prompt(text).as_dict()
    except UnknownId:
        names = _all_names(catalog)
        see = "See `cosmos list prompts`, `runs`, `scenes` or `recipes`."
        raise UnknownId("prompt, run, scene, recipe or file", text, names, see=see) from None


def _all_names(catalog: Catalog) -> list[str]:
    scenes = [row.key for row in catalog.list_scenes()]
    return [*catalog.prompt_ids(), *catalog.prompt_names(), *scenes]


def _show_file(path: Path) -> dict[str, Any]:
    from cosmos_pipelines.media import provenance
    from cosmos_pipelines.media.probe import probe

    p = probe(path)
    facts = {"width": p.width, "height": p.height, "frames": p.frames, "fps": str(p.fps)}
    return {"type": "file", "path": str(path), **facts, "made": provenance.read(path)}
