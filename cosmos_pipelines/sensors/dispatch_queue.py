"""The sensor `dispatch_queue`: runs that wait become Dagster runs, grouped into batches.

A RunRequest costs Dagster 0.15 s, and what has been requested can no longer be moved or join a
batch; so only a few wait in Dagster's own queue at any time.

What becomes of a Dagster run before it has taken its runs decides about them:

    cancelled or deleted by a user          the runs are cancelled
    failed, never created, or a success     requested again, a few times, at last each run alone:
                                            one may be to blame; then the runs have failed
    created, but not in Dagster's queue     requested again with the same key, which puts it there
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import dagster as dg

from cosmos_pipelines.assets.jobs import (
    BATCH,
    BY,
    QUEUE,
    batch_config,
    execute_runs_batch,
    run_ids_of,
)
from cosmos_pipelines.assets.partitions import PARTITIONS, add_keys, place_of
from cosmos_pipelines.assets.run_tags import dagster_tags
from cosmos_pipelines.assets.steps import POOL
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.resources.daemon_side import queue_is_on
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.resources.first_use import know_pool
from cosmos_pipelines.sensors.next_batches import next_batches
from cosmos_pipelines.sensors.requests import (
    RUN_KEY,
    TRIES,
    Asked,
    Fate,
    fates,
    read_cursor,
    unfinished,
    write_cursor,
)
from cosmos_pipelines.sensors.waiting import wait_until

WAITING: Final = 4
"""Batches that may wait in Dagster's queue at once."""
LOOKED_AT: Final = 200
"""Waiting runs from which the next batches are made."""
NO_TAGS: Final[Mapping[str, str]] = {}


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
        asked, requests = _still_asked(context, store)
        if not requests:
            wait_until(context, store, lambda: _has_others(store, asked))
        batches: list[list[Run]] = []
        if _room(asked) > 0 and (free := _free_runs(context.instance, store, asked)):
            last = {name for name, entry in asked.items() if entry.tries >= TRIES - 1}
            batches = next_batches(store, settings, free, _room(asked), context.log, alone=last)
        if batches and queue_is_on(context.instance) is False:
            batches = []  # it was paused while this tick waited for something to do
        tags = dagster_tags(store, batches)
    for batch, named in zip(batches, tags, strict=True):
        number = max(asked[run.id].tries if run.id in asked else 0 for run in batch) + 1
        key = _run_key(batch, number)
        asked |= {run.id: Asked(key, number) for run in batch}
        requests.append(_request([run.id for run in batch], key, named))
    cursor = write_cursor(asked)
    if not requests:
        context.update_cursor(cursor)
        waiting = sum(entry.key is not None for entry in asked.values())
        said = f"{waiting} runs wait in Dagster's queue." if waiting else "No run waits."
        return dg.SkipReason(said)
    know_pool(context.instance, POOL)
    _add_partitions(context.instance, batches)
    return dg.SensorResult(run_requests=requests, cursor=cursor)


def _has_others(catalog: Catalog, asked: Mapping[str, Asked]) -> bool:
    """Whether a run waits that no Dagster run is going to execute."""
    requested = {run_id for run_id, entry in asked.items() if entry.key}
    return any(run.id not in requested for run in catalog.queued_runs(len(requested) + 1))


def _room(asked: Mapping[str, Asked]) -> int:
    """How many more batches may wait in Dagster's queue."""
    return WAITING - len({entry.key for entry in asked.values() if entry.key})


def _still_asked(
    context: dg.SensorEvaluationContext, catalog: Catalog
) -> tuple[dict[str, Asked], list[dg.RunRequest]]:
    """What was requested and is still pending, by run id; and what Dagster must be told again."""
    before = read_cursor(context, Asked)
    pending = {run.id for run in catalog.find_runs(before).values() if run.status == "pending"}
    asked = {name: entry for name, entry in before.items() if name in pending}
    by_key: dict[str, list[str]] = {}
    for name, entry in asked.items():
        if entry.key:
            by_key.setdefault(entry.key, []).append(name)
    became = fates(context.instance, asked.values())
    requests = []
    for key, ids in by_key.items():
        fate, tries = became[key], asked[ids[0]].tries
        if fate.state == "waits":
            seen = fate.dagster_run_id
            asked |= {name: replace(asked[name], seen=seen) for name in ids}
        elif fate.state == "cancelled" or (fate.state == "gone" and fate.dagster_run_id):
            _cancel(context, catalog, ids, fate)
            asked = {name: entry for name, entry in asked.items() if entry.key != key}
        elif tries >= TRIES:
            _fail(context, catalog, ids, fate)
            asked = {name: entry for name, entry in asked.items() if entry.key != key}
        elif fate.state == "unsent":
            asked |= {name: Asked(key, tries + 1, seen=fate.dagster_run_id) for name in ids}
            requests.append(_request(ids, key))
            context.log.warning(f"{', '.join(ids)}: {fate.said} It is put there now.")
        else:
            asked |= {name: Asked(None, tries) for name in ids}
            context.log.warning(f"{', '.join(ids)}: {fate.said} Another is requested.")
    return asked, requests


def _cancel(
    context: dg.SensorEvaluationContext, catalog: Catalog, ids: Iterable[str], fate: Fate
) -> None:
    """A user who cancels or deletes a Dagster run in its queue does not want its runs."""
    for run_id in ids:
        ended = catalog.advance(
            run_id,
            "",
            "pending",
            "cancelled",
            error_kind="cancelled",
            error_message=f"{fate.said} `cosmos run {run_id}` executes it.",
        )
        if ended:
            context.log.info(f"{run_id} is cancelled: {fate.said}")


def _fail(
    context: dg.SensorEvaluationContext, catalog: Catalog, ids: Iterable[str], fate: Fate
) -> None:
    said = f"Dagster did not start it, {TRIES} times. {fate.said} See the failed runs on the page."
    for run_id in ids:
        if catalog.advance(
            run_id, "", "pending", "failed", error_kind="launch_failed", error_message=said
        ):
            context.log.error(f"{run_id} has failed: {said}")


def _free_runs(
    instance: dg.DagsterInstance, catalog: Catalog, asked: dict[str, Asked]
) -> list[Run]:
    """The first of the waiting runs that no Dagster run is going to execute.

    The cursor does not know of all: a user may reset it on the page, and the cursor of a tick in
    which the daemon died may be lost. What Dagster knows besides is added to `asked`.
    """
    requested = sum(entry.key is not None for entry in asked.values())
    waiting = [
        run
        for run in catalog.queued_runs(LOOKED_AT + requested)
        if run.id not in asked or asked[run.id].key is None
    ]
    if not waiting:
        return []
    known = {entry.key for entry in asked.values()}
    ids = {run.id for run in waiting}
    for dagster_run in unfinished(instance, BY, QUEUE):
        if (key := dagster_run.tags.get(RUN_KEY)) and key not in known:
            mine = ids.intersection(run_ids_of(dagster_run))
            asked |= {run_id: Asked(key, 1, seen=dagster_run.run_id) for run_id in mine}
            ids -= mine
    return [run for run in waiting if run.id in ids]


def _run_key(batch: Sequence[Run], number: int) -> str:
    content = {"runs": [[run.id, run.attempt] for run in batch], "try": number}
    return f"{batch[0].id}.{content_hash(content)[:12]}"


def _request(ids: list[str], key: str, named: Mapping[str, str] = NO_TAGS) -> dg.RunRequest:
    """`named`: tags for a Dagster run that is new; one that there is has its own."""
    tags = {**named, "cosmos/runs": str(len(ids)), BY: QUEUE, "cosmos/first_run": ids[0]}
    return dg.RunRequest(run_key=key, job_name=BATCH, run_config=batch_config(ids), tags=tags)


def _add_partitions(instance: dg.DagsterInstance, batches: Sequence[Sequence[Run]]) -> None:
    """The keys of these runs: `catalog_sync` may not have run yet."""
    keys: dict[str, set[str]] = {}
    for run in (run for batch in batches for run in batch):
        asset, partition = place_of(run)
        keys.setdefault(str(PARTITIONS[asset].name), set()).add(partition)
    for name, wanted in keys.items():
        add_keys(instance, name, sorted(wanted))
