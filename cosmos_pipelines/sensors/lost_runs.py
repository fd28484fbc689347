"""The sensor `lost_runs`: runs whose process died are adopted and brought to their end.

So are runs that failed because their host was away, once the host answers again.

The lease in the catalog tells: it is renewed by the process that executes a run, and ends with it.
The container or subprocess may well go on; it is found by its name and followed, never started
again. So a Dagster run that is cancelled, deleted or fails before it has adopted the work is
requested again, a few times: the work goes on and may cost money, and somebody must follow it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from cosmos_pipelines.assets.jobs import BATCH, BY, LOST, batch_config, execute_runs_batch
from cosmos_pipelines.assets.run_tags import dagster_tags
from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs import lost
from cosmos_pipelines.runs.given_up import given_up_runs
from cosmos_pipelines.sensors.requests import (
    TRIES,
    Asked,
    Fate,
    dagster_runs,
    fates,
    read_cursor,
    write_cursor,
)


@dataclass(frozen=True)
class AskedForLost(Asked):
    """The Dagster run that was requested to adopt the runs of one lost order."""

    loss: str = ""
    """How the runs looked when they were lost: after another loss, tries are counted anew."""


@dg.sensor(
    job=execute_runs_batch,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adopts runs whose process died, and frees their place in the GPU pool; goes on "
    "with runs that failed while their host was away, once it answers.",
)
def lost_runs(
    context: dg.SensorEvaluationContext, catalog: CatalogResource
) -> dg.SensorResult | dg.SkipReason:
    """Request one Dagster run for each order that was left behind."""
    requests: list[dg.RunRequest] = []
    asked: dict[str, AskedForLost] = {}
    with catalog.open() as (store, settings):
        groups: dict[str, list[Run]] = {}
        for run in [*lost.lost_runs(store), *given_up_runs(store, settings)]:
            groups.setdefault(run.batch_id or run.id, []).append(run)
        before = _asked_before(context, groups)
        became = fates(context.instance, before.values())
        for name, runs in groups.items():
            earlier = before.get(name)
            try:
                entry = _next(context, store, name, runs, earlier, became)
            except Exception:  # one order's fault never stops the others
                context.log.exception(f"The order {name} is looked at again in the next tick.")
                entry = earlier
            if entry is not None:
                asked[name] = entry
                if earlier is None or entry.tries != earlier.tries:
                    requests.append(_request(runs, entry, *dagster_tags(store, [runs])))
    cursor = write_cursor(asked)
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=cursor)
    context.update_cursor(cursor)
    if groups:
        return dg.SkipReason(f"{len(asked)} of {len(groups)} lost orders wait to be adopted.")
    return dg.SkipReason("Every run in work has a living process.")


def _asked_before(
    context: dg.SensorEvaluationContext, groups: Mapping[str, Sequence[Run]]
) -> dict[str, AskedForLost]:
    """The last request for each of these losses, by order.

    What the cursor does not know, since a user has reset it or its tick was lost, Dagster knows.
    """
    losses = {name: _loss_of(runs) for name, runs in groups.items()}
    before = {
        name: entry
        for name, entry in read_cursor(context, AskedForLost).items()
        if losses.get(name) == entry.loss
    }
    fresh = {
        _key(name, loss, tries): AskedForLost(_key(name, loss, tries), tries, loss=loss)
        for name, loss in losses.items()
        if name not in before
        for tries in range(1, TRIES + 1)
    }
    found = dagster_runs(context.instance, fresh)
    for name, loss in losses.items():
        for tries in range(1, TRIES + 1):
            if run := found.get(key := _key(name, loss, tries)):
                before[name] = replace(fresh[key], seen=run.run_id)
    return before


def _next(
    context: dg.SensorEvaluationContext,
    catalog: Catalog,
    name: str,
    runs: Sequence[Run],
    earlier: AskedForLost | None,
    became: Mapping[str, Fate],
) -> AskedForLost | None:
    """What is requested for one lost order by now; None if it is given up."""
    loss = _loss_of(runs)
    if earlier is None or earlier.key is None:
        for dagster_run_id in {run.dagster_run_id for run in runs if run.dagster_run_id}:
            mark_dagster_run_dead(context, dagster_run_id)
        return AskedForLost(_key(name, loss, 1), 1, loss=loss)
    fate = became[earlier.key]
    if fate.state == "waits":
        return replace(earlier, seen=fate.dagster_run_id)
    if earlier.tries >= TRIES:
        _give_up(context, catalog, runs, fate)
        return None
    number = earlier.tries + 1
    context.log.warning(
        f"{name}: {fate.said} Its work may go on, so it is requested again ({number} of {TRIES}); "
        f"`cosmos kill {runs[0].id} --batch` stops the work."
    )
    if fate.state == "unsent":  # a request with the same key puts it into Dagster's queue
        return replace(earlier, tries=number, seen=fate.dagster_run_id)
    return AskedForLost(_key(name, loss, number), number, loss=loss)


def _loss_of(runs: Sequence[Run]) -> str:
    content = {}
    for run in runs:
        since = run.updated_at if run.status in ACTIVE else run.completed_at
        content[run.id] = [run.leased_by, since and since.isoformat()]
    return content_hash(content)[:12]


def _key(name: str, loss: str, tries: int) -> str:
    return f"lost.{name}.{loss}" + (f".{tries}" if tries > 1 else "")


def mark_dagster_run_dead(context: dg.SensorEvaluationContext, dagster_run_id: str) -> None:
    """A Dagster run whose process is dead says so; otherwise it would keep its pool's place."""
    dead = context.instance.get_run_by_id(dagster_run_id)
    if dead is not None and not dead.is_finished:
        context.instance.report_run_failed(dead, "Its process died; its work is being adopted.")


def _give_up(
    context: dg.SensorEvaluationContext, catalog: Catalog, runs: Sequence[Run], fate: Fate
) -> None:
    """Nobody adopts the runs: they say so, and `cosmos run` finds their work where it was left."""
    owner = owner_name()
    for run in (run for run in runs if run.status in ACTIVE):
        lost.may_be_taken(catalog, run, owner)
        said = (
            f"Its process died, and no Dagster run adopted it, {TRIES} times. {fate.said} "
            f"Its work may go on: `cosmos run {run.id}` adopts it, `cosmos status` shows it."
        )
        if (held := catalog.adopt(run.id, owner)) and catalog.advance(
            run.id, owner, held.status, "failed", error_kind="lost", error_message=said
        ):
            context.log.error(f"{run.id} has failed: {said}")


def _request(runs: Sequence[Run], asked: AskedForLost, named: Mapping[str, str]) -> dg.RunRequest:
    ids = [run.id for run in runs]
    tags = {**named, BY: LOST, "cosmos/first_run": ids[0]}
    if asked.tries > 1:
        tags["cosmos/try"] = f"{asked.tries} of {TRIES}"
    return dg.RunRequest(run_key=asked.key, job_name=BATCH, run_config=batch_config(ids), tags=tags)
