"""Partitions of a backfill go through the queue.

Dagster executes each selected partition in a Dagster run of its own. The first of them that starts
puts the runs of all of them into the queue, so that the dispatcher makes the loads that it makes of
any waiting runs; each step then waits for its own run and records it. What a single click asks for
is executed by its own step. Why: docs/decisions/0037.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

import dagster as dg

from cosmos_pipelines.assets.steps import (
    as_asked,
    bring_to_end,
    cancelled_with_us,
    request_of,
)
from cosmos_pipelines.catalog.lifecycle import ENDED_STATUSES
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.resources.dagster_resources import BackendResource
from cosmos_pipelines.runs.enter import Asked, enter, enter_each
from cosmos_pipelines.runs.plan import Planned
from cosmos_pipelines.settings import Settings

BACKFILL: Final = "dagster/backfill"
"""Tag of a Dagster run that Dagster has started for a backfill: the backfill's id."""
SEVERAL: Final = (
    "Several selected partitions go through the queue, which executes runs that fit together in "
    "one load of the model. The review page tells number and time of the same runs before they are "
    "ordered."
)
"""What the descriptions of the assets say of it."""
PARTITION: Final = "dagster/partition"
LOOK_S: Final = 0.5
"""Between two looks at whether the catalog has changed; each reads one number."""
CANCELLED_S: Final = 5.0
"""Between two looks at which Dagster runs of the backfill were cancelled in Dagster's queue."""
_NOT_STARTED: Final = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
)
_STOPPED: Final = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


def run_to_make(
    context: dg.AssetExecutionContext,
    catalog: Catalog,
    settings: Settings,
    plan: Callable[[str], Planned],
) -> Run:
    """The run for the step's partition; in a backfill it is queued, with those of its partitions.

    `plan`: plans the run of a partition.

    Raises:
        CosmosError: the run of this partition is refused. One of another is told by its own step.
    """
    request = request_of(context)
    if not _in_backfill(context):
        return enter(catalog, settings, plan(context.partition_key), request=request)
    if known := catalog.runs_asked_by(request):  # another step of this backfill has queued it
        return known[0]
    wanted = [Asked(plan(context.partition_key), None, (), request)]
    for mate in _waiting(context):
        try:
            planned = plan(mate.tags[PARTITION])
        except CosmosError:  # its own step says so
            continue
        wanted.append(Asked(planned, None, (), as_asked(mate)))
    own, *others = enter_each(catalog, settings, wanted)
    if isinstance(own, CosmosError):
        raise own
    _tell(context, 1 + sum(isinstance(other, Run) for other in others))
    return own


def queue_partitions(context: dg.AssetExecutionContext, catalog: Catalog) -> None:
    """In a backfill of runs: put those into the queue that were only registered."""
    if _in_backfill(context):
        mates = (mate.tags[PARTITION] for mate in _waiting(context))
        if queued := catalog.queue_pending([context.partition_key, *mates]):
            _tell(context, len(queued))


def bring_run_to_end(
    context: dg.AssetExecutionContext,
    catalog: Catalog,
    settings: Settings,
    backend: BackendResource,
    run: Run,
) -> Run:
    """Return the run as it is when it has ended: executed here, or made by the queue.

    One that had ended before the backfill asked for it is executed again here.
    """
    if _in_backfill(context) and run.queued_at is not None and not _ended_before(context, run):
        with cancelled_with_us(context):
            return _waited_for(context, catalog, run)
    (run,) = bring_to_end(context, catalog, settings, backend, [run])
    return run


def _in_backfill(context: dg.AssetExecutionContext) -> bool:
    """Whether Dagster's backfill asks for this step; not somebody who executes it once more."""
    return BACKFILL in context.run.tags and context.run.parent_run_id is None


def _waiting(context: dg.AssetExecutionContext) -> list[dg.DagsterRun]:
    """The Dagster runs of this backfill that have not started and ask for the same."""
    tags = {BACKFILL: context.run.tags[BACKFILL]}
    return [
        mate
        for mate in context.instance.get_runs(dg.RunsFilter(tags=tags, statuses=[*_NOT_STARTED]))
        if mate.run_id != context.run.run_id
        and PARTITION in mate.tags
        and mate.asset_selection == context.run.asset_selection
        and mate.run_config == context.run.run_config
    ]


def _tell(context: dg.AssetExecutionContext, number: int) -> None:
    context.log.info(
        f"{number} runs of this backfill were put into the queue, which executes runs that fit "
        "together in one load of the model. `cosmos queue` shows them."
    )


def _ended_before(context: dg.AssetExecutionContext, run: Run) -> bool:
    """Whether the run failed, or was cancelled, before this backfill asked for it."""
    if run.status not in ("failed", "cancelled") or run.completed_at is None:
        return False
    backfill = context.instance.get_backfill(context.run.tags[BACKFILL])
    return backfill is not None and run.completed_at.timestamp() < backfill.backfill_timestamp


def _waited_for(context: dg.AssetExecutionContext, catalog: Catalog, run: Run) -> Run:
    looked = time.monotonic()
    try:
        while run.status not in ENDED_STATUSES:
            seen = catalog.newest_revision()
            run = catalog.get_run(run.id)
            while run.status not in ENDED_STATUSES and catalog.newest_revision() == seen:
                time.sleep(LOOK_S)
                if time.monotonic() - looked > CANCELLED_S:
                    _cancel_runs_of(catalog, _mates(context, dg.DagsterRunStatus.CANCELED))
                    looked = time.monotonic()
    except Exception:
        raise
    except BaseException:  # this Dagster run is cancelled, perhaps with its whole backfill
        backfill = context.instance.get_backfill(context.run.tags[BACKFILL])
        stopped = backfill is not None and backfill.status.value in ("CANCELING", "CANCELED")
        _cancel_runs_of(catalog, [context.run, *(_mates(context) if stopped else ())])
        if catalog.get_run(run.id).status not in ENDED_STATUSES:
            context.log.warning(
                f"{run.id} is being executed in a load with other runs and goes on; "
                f"`cosmos kill {run.id}` stops it."
            )
        raise
    return run


def _mates(
    context: dg.AssetExecutionContext, *statuses: dg.DagsterRunStatus
) -> list[dg.DagsterRun]:
    tags = {BACKFILL: context.run.tags[BACKFILL]}
    return [*context.instance.get_runs(dg.RunsFilter(tags=tags, statuses=[*statuses]))]


def _cancel_runs_of(catalog: Catalog, dagster_runs: Iterable[dg.DagsterRun]) -> None:
    """Cancel the runs that these Dagster runs wait for, as far as no process has begun them."""
    asked = [run.id for one in dagster_runs for run in catalog.runs_asked_by(as_asked(one))]
    catalog.cancel_queued(asked)
