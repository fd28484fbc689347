"""Runs made again: new runs with the same settings, of what is there now. The old ones are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.runs.locations import located
from cosmos_pipelines.runs.outdated import Now, outdated_runs, replacements
from cosmos_pipelines.runs.plan import (
    Planned,
    plan_enhance,
    plan_transfer,
    plan_upscale,
    plan_upscale_of,
)
from cosmos_pipelines.settings import Settings


def to_make_again(catalog: Catalog, settings: Settings) -> list[Run]:
    """All runs whose result is out of date and was not asked for again since; oldest first."""
    runs = catalog.list_runs(limit=None)
    stale = [run for run, _ in outdated_runs(catalog, settings, runs)]
    replaced = replacements(runs, [run.id for run in stale])
    return [run for run in reversed(stale) if run.id not in replaced]


def with_parents(
    catalog: Catalog, settings: Settings, runs: Sequence[Run]
) -> tuple[list[Run], dict[str, str]]:
    """The runs, and before each 4K the run of its video if that is out of date itself.

    Returns the runs in the order in which they can be made, and for each run that has been asked
    for again already the newest such run.
    """
    everything = catalog.list_runs(limit=None)
    stale = [run.id for run, _ in outdated_runs(catalog, settings, everything)]
    replaced, now = replacements(everything, stale), Now(catalog, settings)
    wanted = {run.id: run for run in runs}
    for run in runs:
        if run.parent_run_id and run.parent_run_id not in wanted.keys() | replaced.keys():
            parent = catalog.get_run(run.parent_run_id)
            wanted |= {parent.id: parent} if now.reasons(parent) else {}
    first = [run for run in wanted.values() if run.model_type != "upscale"]
    return [*first, *(r for r in wanted.values() if r.model_type == "upscale")], replaced


def plan_again(
    catalog: Catalog,
    settings: Settings,
    run: Run,
    parent_run_id: str | None = None,
    *,
    queued: bool = False,
) -> Planned:
    """The same as a run was, planned with what is there now.

    `parent_run_id`: of an upscale, the run whose video takes the place of the old one; `queued`: it
    may be a run that waits or runs.

    Raises:
        InputError: what was possible then is refused now; says why.
        StateError: the run has not been executed yet.
    """
    _check_ended(run)
    config = run.execution_config
    if run.model_type == "upscale":
        video = located(settings, run.source["video"]) if run.source.get("video") else None
        parent = None if video else parent_run_id or run.parent_run_id
        planned = plan_upscale(
            catalog, settings, parent, config, video=video, engine=run.engine, queued=queued
        )
    elif run.model_type == "enhance":
        planned = plan_enhance(catalog, settings, str(run.prompt_id), config, engine=run.engine)
    else:
        planned = plan_transfer(catalog, settings, str(run.prompt_id), config, engine=run.engine)
        planned = replace(planned, row={**planned.row, "recipe": run.recipe})
    return _noted(planned, run)


def plan_all_again(
    catalog: Catalog,
    settings: Settings,
    runs: Sequence[Run],
    replaced: Mapping[str, str],
) -> list[Planned]:
    """The same as runs were, for the queue: a 4K waits there for its video, if that is made again.

    `runs`: videos before their 4K; `replaced`: see `with_parents`. Errors as of `plan_again`.
    """
    planned: dict[str, Planned] = {}
    for run in runs:
        of = run.parent_run_id or ""
        if run.model_type == "upscale" and of in planned:
            _check_ended(run)
            config, engine = run.execution_config, run.engine
            planned[run.id] = _noted(plan_upscale_of(settings, planned[of], config, engine), run)
        else:
            planned[run.id] = plan_again(catalog, settings, run, replaced.get(of, ""), queued=True)
    return [planned[run.id] for run in runs]


def _check_ended(run: Run) -> None:
    if run.status not in ("completed", "failed", "cancelled"):
        raise StateError(
            f"Run {run.id} is {run.status}: nothing has been made that could be made again.",
            hint=f"`cosmos run {run.id}` executes it.",
        )


def _noted(planned: Planned, run: Run) -> Planned:
    return replace(planned, notes=[f"Made again of {run.id}.", *planned.notes])
