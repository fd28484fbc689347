"""The state of the project: active runs, the places where they run, what was left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cosmos_pipelines.backends.registry import hosts_meant, place_words
from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES, label_of
from cosmos_pipelines.operate.places import BackendState, Left, left_behind, look_at, places_of
from cosmos_pipelines.operate.workers import living_workers
from cosmos_pipelines.runs.budget import not_counted
from cosmos_pipelines.runs.lost import looks_lost
from cosmos_pipelines.settings import Settings


def status(catalog: Catalog, settings: Settings, hosts: Sequence[str] = ()) -> dict[str, Any]:
    """Return backend, engine, counts, active runs, what is paused, places, what was left behind.

    All places are asked at the same time, or only `hosts`. A host that does not answer is a problem
    of its place, after some seconds.

    Raises:
        SettingsError: one of `hosts` is no host of the settings.
    """
    before = catalog.active_runs()
    places = hosts_meant(settings, hosts) if hosts else places_of(settings, before)
    found = look_at(settings, places)
    active, queued = catalog.active_runs(), catalog.queued_runs(None)
    lost = {run.id for run in active if looks_lost(run)}
    prompts = catalog.find_prompts(run.prompt_id for run in (*active, *queued) if run.prompt_id)
    behind = left_in(catalog, found, before, active, lost)
    engine = settings.execution.engine
    return {
        "home": str(settings.home),
        "catalog": _without_password(settings.catalog_url),
        "backend": settings.execution.backend,
        "engine": engine,
        "engine_label": label_of(engine),
        "simulated": engine in ENGINES and ENGINES[engine].simulated,
        "upscale_engine": settings.execution.engine_for("upscale"),
        "enhance_engine": settings.execution.engine_for("enhance"),
        "counts": catalog.count_by_status(),
        "places": [found[name].as_dict() for name in places],
        "active": [_brief(run, prompts) | {"lost": run.id in lost} for run in active],
        "queued": [_brief(run, prompts) for run in queued],
        "paused": [pause.as_dict() for pause in catalog.list_pauses()],
        "workers": living_workers(catalog),
        "not_counted": not_counted(settings),
        "lost": sorted(lost),
        "stray": sorted(left.id for left in behind if left.what == "stray"),
        "left": [left.as_dict() for left in behind],
    }


def left_in(
    catalog: Catalog,
    found: Mapping[str, BackendState],
    before: Sequence[Run],
    active: Sequence[Run],
    lost: set[str],
) -> list[Left]:
    """Return what was left behind; a run that started or ended meanwhile owns its order too."""
    owned = {run.batch_id for run in (*before, *active)}
    unowned = {order for place in found.values() for order in place.orders or ()} - owned
    ended = {str(r.batch_id): r for r in catalog.runs_of_orders(unowned) if r.status != "completed"}
    ran = {run.id for run in before if run.status == "running"}
    left = [run for run in active if run.id in lost or run.id in ran]
    return left_behind(found, left, lost, unowned, ended)


def _brief(run: Run, prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    prompt = prompts.get(run.prompt_id or "")
    since = run.started_at or run.created_at
    return {
        "id": run.id,
        "model_type": run.model_type,
        "status": run.status,
        "progress": run.progress,
        "prompt": prompt.name if prompt else None,
        "engine": run.engine,
        "backend": run.backend,
        "place": place_words(run.backend, run.host),
        "order": run.batch_id,
        "host": run.host,
        "container": run.container_name,
        "seconds": round((datetime.now(UTC) - since).total_seconds(), 1),
        "executed_by": run.leased_by,
        "ordered_by": run.ordered_by,
        "dagster_run_id": run.dagster_run_id,
    }


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)
