"""The sensor `dispatch_queue`: runs that wait become Dagster runs, grouped into batches.

A RunRequest costs Dagster 0.15 s, and what has been requested can no longer be moved or join a
batch; so only a few wait in Dagster's own queue at any time.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any, Final

import dagster as dg

from cosmos_pipelines import batching
from cosmos_pipelines.assets.jobs import BATCH, batch_config, execute_runs_batch
from cosmos_pipelines.assets.partitions import PARTITIONS, place_of
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.operations import Job
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.plan import job_of
from cosmos_pipelines.sensors.waiting import wait_until
from cosmos_pipelines.settings import Settings

WAITING: Final = 4
"""Batches that may wait in Dagster's queue at once."""
LOOKED_AT: Final = 200
"""Waiting runs from which the next batches are made."""
TRIES: Final = 3
"""Dagster runs that a batch gets if they die before they have taken its runs."""


@dg.sensor(
    job=execute_runs_batch,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts what waits in the catalog's queue; runs that fit together are one Dagster "
    "run, which executes them as one batch.",
)
def dispatch_queue(
    context: dg.SensorEvaluationContext, catalog: CatalogResource
) -> dg.SensorResult | dg.SkipReason:
    """Request Dagster runs for the next batches."""
    with catalog.open() as (store, settings):
        asked = _still_asked(context, store, store.queued_runs(LOOKED_AT))
        wait_until(context, store, lambda: _has_others(store, asked))
        room = WAITING - len({entry["key"] for entry in asked.values()})
        free = [run for run in store.queued_runs(LOOKED_AT) if run.id not in asked]
        tries = _tries(context.cursor)
        batches = batches_of(store, settings, free)[: max(0, room)] if free and room > 0 else []
    requests = []
    for batch in batches:
        number = max(tries.get(run.id, 0) for run in batch) + 1
        key = _run_key(batch, number)
        asked |= {run.id: {"key": key, "tries": number} for run in batch}
        requests.append(_request(batch, key))
    cursor = json.dumps(asked, sort_keys=True)
    if not requests:
        context.update_cursor(cursor)
        return dg.SkipReason(
            f"{len(asked)} runs wait in Dagster's queue." if asked else "No run waits."
        )
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=_partitions(context.instance, batches),
        cursor=cursor,
    )


def _has_others(catalog: Catalog, asked: Collection[str]) -> bool:
    """Whether a run waits that was not asked for yet."""
    return any(run.id not in asked for run in catalog.queued_runs(len(asked) + 1))


def batches_of(catalog: Catalog, settings: Settings, runs: Sequence[Run]) -> list[list[Run]]:
    """Runs in batches, in their order.

    One whose inputs are unusable, or others than they were, is alone: what there is to say of it
    comes out when it starts.
    """
    jobs: dict[tuple[str, str], list[Job]] = {}
    order = {run.id: number for number, run in enumerate(runs)}
    by_id = {run.id: run for run in runs}
    batches = []
    prompts = catalog.find_prompts(run.prompt_id for run in runs if run.prompt_id)
    for run in runs:
        try:
            # nothing is encoded in a tick; what has changed is made anew when its run starts
            prompt = prompts.get(run.prompt_id or "")
            job = job_of(catalog, settings, run, prompt, looking="unchanged")
            settings.engine(run.engine)
        except CosmosError:
            batches.append([run])
            continue
        jobs.setdefault((run.engine, run.backend), []).append(job)
    for (engine, _), mine in jobs.items():
        for batch in batching.plan(settings.engine(engine), mine):
            batches.append([by_id[job.run_id] for job in batch])
    return sorted(batches, key=lambda batch: order[batch[0].id])


def _still_asked(
    context: dg.SensorEvaluationContext, catalog: Catalog, waiting: Sequence[Run]
) -> dict[str, dict[str, Any]]:
    """What was requested and still waits for its Dagster run, by run id.

    A Dagster run that was cancelled in its queue cancels its runs; one that died is asked for
    again, a few times.
    """
    asked = json.loads(context.cursor) if context.cursor else {}
    kept: dict[str, dict[str, Any]] = {}
    keys = {asked[run.id]["key"] for run in waiting if run.id in asked}
    ended = {key: _ended(context.instance, key) for key in keys}
    for run in waiting:
        entry = asked.get(run.id)
        if entry is None:
            continue
        status = ended[entry["key"]]
        if status is None:
            kept[run.id] = entry
        elif status == dg.DagsterRunStatus.CANCELED:
            context.log.info(f"{run.id} is cancelled, as its Dagster run was.")
            catalog.cancel_pending(run.id)
        elif entry["tries"] >= TRIES:
            said = f"Dagster did not start it, {TRIES} times; see the page's failed runs."
            context.log.warning(f"{run.id}: {said}")
            catalog.advance(
                run.id, "", "pending", "failed", error_kind="launch_failed", error_message=said
            )
    return kept


def _ended(instance: dg.DagsterInstance, key: str) -> dg.DagsterRunStatus | None:
    """How the Dagster run with this run key ended; None if it has not, or is not there yet."""
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": key}), limit=1)
    return runs[0].status if runs and runs[0].is_finished else None


def _tries(cursor: str | None) -> dict[str, int]:
    asked = json.loads(cursor) if cursor else {}
    return {run_id: entry["tries"] for run_id, entry in asked.items()}


def _run_key(batch: Sequence[Run], number: int) -> str:
    content = {"runs": [[run.id, run.attempt] for run in batch], "try": number}
    return f"{batch[0].id}.{content_hash(content)[:12]}"


def _request(batch: Sequence[Run], key: str) -> dg.RunRequest:
    ids = [run.id for run in batch]
    tags = {"cosmos/runs": str(len(ids)), "cosmos/by": "queue", "cosmos/first_run": ids[0]}
    return dg.RunRequest(run_key=key, job_name=BATCH, run_config=batch_config(ids), tags=tags)


def _partitions(
    instance: dg.DagsterInstance, batches: Sequence[Sequence[Run]]
) -> list[dg.AddDynamicPartitionsRequest]:
    """Keys that the page lacks so far (`catalog_sync` may not have run yet)."""
    missing: dict[str, set[str]] = {}
    for run in (run for batch in batches for run in batch):
        asset, partition = place_of(run)
        name = str(PARTITIONS[asset].name)
        if not instance.has_dynamic_partition(name, partition):
            missing.setdefault(name, set()).add(partition)
    sets = {str(p.name): p for p in PARTITIONS.values()}
    return [sets[name].build_add_request(sorted(keys)) for name, keys in missing.items()]
