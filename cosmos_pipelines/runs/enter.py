"""Planned runs enter the catalog; whoever asks a second time is given the runs that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cosmos_pipelines.catalog.database import AT_ONCE
from cosmos_pipelines.catalog.new_run import NewRun, new_run
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, InputError
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.person import person
from cosmos_pipelines.runs.plan import Planned, backend_name
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import AUTO


def enter(
    catalog: Catalog,
    settings: Settings,
    planned: Planned,
    *,
    backend: str | None = None,
    queued: bool = False,
    tags: Sequence[str] = (),
    request: str | None = None,
    priority: int = 0,
) -> Run:
    """Enter one planned run; arguments and errors as for `enter_all`."""
    where = _where(settings, backend, queued)
    row = _row(planned, where, tags, request, Counter()) | {"priority": priority}
    return catalog.add_run(**row, ordered_by=person(settings.person), queued=queued)


def enter_all(
    catalog: Catalog,
    settings: Settings,
    planned: Sequence[Planned],
    *,
    backend: str | None = None,
    queued: bool = False,
    tags: Sequence[str] = (),
    request: str | None = None,
    priority: int = 0,
) -> list[Run]:
    """Enter planned runs, pending, all or none; queued ones will be executed by the daemon.

    `request`: who asks for them. The same again, by whoever asks a second time or at the same
    moment, is given the runs that are there.

    Raises:
        SettingsError: there is no such backend.
        InputError: a run for any place that is not queued; no priority (-100 to 100).
    """
    wanted = [Asked(plan, backend, tags, request) for plan in planned]
    return enter_together(catalog, settings, wanted, queued=queued, priority=priority)


def _where(settings: Settings, backend: str | None, queued: bool) -> str:
    where = backend_name(settings, backend)
    if where == AUTO and not queued:
        raise InputError(
            "Only the queue chooses a place: `auto` is for runs that wait in it.",
            hint="Add --detach, or name the place with --backend.",
        )
    return where


@dataclass(frozen=True)
class Asked:
    """One of several runs to enter: its plan, and what it has for itself."""

    plan: Planned
    backend: str | None
    tags: Sequence[str]
    request: str | None
    """Who asks; see `enter_all`."""

    def identity(self, settings: Settings) -> str:
        """A hash of all that this run will do, and where."""
        return _identity(self.plan, backend_name(settings, self.backend))


def enter_together(
    catalog: Catalog,
    settings: Settings,
    wanted: Sequence[Asked],
    *,
    queued: bool,
    priority: int = 0,
) -> list[Run]:
    """Enter runs, pending, all or none, in one transaction; errors as of `enter_all`."""
    names = {asked.backend for asked in wanted}
    places, count = {name: _where(settings, name, queued) for name in names}, Counter[str]()
    rows: list[NewRun] = []
    keys: dict[str, str | None] = {}
    for asked in wanted:
        where = places[asked.backend]
        row = _row(asked.plan, where, asked.tags, asked.request, count, keys)
        rows.append(new_run(**row, priority=priority, ordered_by=person(settings.person)))
        keys[rows[-1]["id"]] = rows[-1]["request_key"]
    return catalog.add_runs(rows, queued=queued)


def enter_each(
    catalog: Catalog, settings: Settings, wanted: Sequence[Asked]
) -> list[Run | CosmosError]:
    """Enter queued runs, 1,000 in one transaction; one that is refused leaves the others alone."""
    found: list[Run | CosmosError] = []
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        try:
            found += catalog.add_runs([_new(settings, one) for one in some], queued=True)
        except InputError:
            found += [_entered(catalog, settings, one) for one in some]
    return found


def _entered(catalog: Catalog, settings: Settings, asked: Asked) -> Run | CosmosError:
    try:
        return catalog.add_runs([_new(settings, asked)], queued=True)[0]
    except InputError as e:
        return e


def _new(settings: Settings, asked: Asked) -> NewRun:
    where = backend_name(settings, asked.backend)
    row = _row(asked.plan, where, asked.tags, asked.request, Counter())
    return new_run(**row, ordered_by=person(settings.person))


def _row(
    plan: Planned,
    backend: str,
    tags: Sequence[str],
    request: str | None,
    asked: Counter[str],
    keys: Mapping[str, str | None] = MappingProxyType({}),
) -> dict[str, Any]:
    """The arguments of `new_run`; `asked`: how often each run was asked for in this request.

    `keys`: the request keys of the runs before it in this request, by id. A 4K behind one of them
    is known by that key: when the same is asked for again, the planned run has another id.
    """
    operation = plan.job.operation
    key = None
    if request is not None:
        what = _identity(plan, backend, keys.get(plan.row.get("parent_run_id", "")))
        asked[what] += 1
        key = f"{request}/{what}/{asked[what]}"
    return {
        "model_type": operation.model_type,
        "engine": plan.engine.name,
        "backend": backend,
        "execution_config": operation.config(),
        "run_id": plan.job.run_id,
        "notes": plan.notes,
        "tags": tags,
        "request_key": key,
        **plan.row,
    }


def _identity(plan: Planned, backend: str, parent_key: str | None = None) -> str:
    """A hash of all that a planned run will do; `parent_key`: of the run whose video it is of."""
    operation = plan.job.operation
    weights = plan.engine.weights(operation)
    return content_hash(
        {
            "operation": operation.model_type,
            "engine": plan.engine.name,
            "backend": backend,
            "config": operation.config(),
            **({"weights": weights} if weights else {}),
            **plan.row,
            **({"parent_run_id": parent_key} if parent_key else {}),
        }
    )[:32]
