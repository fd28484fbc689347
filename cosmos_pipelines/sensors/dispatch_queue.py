"""The sensor `dispatch_queue`: the dispatcher of the daemon, which gives loads to Dagster.

It takes the next loads out of the queue (see runs/next_loads.py) and requests one Dagster run for
each; the run key is the id of the load. What has been taken out can no longer be moved or join
another load, so no more is taken than the GPUs need soon (see runs/room.py).

What becomes of a Dagster run before it has taken its load decides about the runs:

    cancelled or deleted by a user          the runs are cancelled
    failed, never created, or a success     the runs wait again, a few times, at last each alone:
                                            one may be to blame; then the runs have failed
    created, but not in Dagster's queue     requested again with the same key, which puts it there
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import dagster as dg

from cosmos_pipelines.assets.jobs import BATCH, BY, QUEUE, batch_config, execute_runs_batch
from cosmos_pipelines.assets.partitions import PARTITIONS, add_keys, place_of
from cosmos_pipelines.assets.run_tags import dagster_tags
from cosmos_pipelines.catalog.queue import CLAIM_S
from cosmos_pipelines.catalog.records import Load, Run, utc_now
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.operate.place_looks import look_again
from cosmos_pipelines.resources.daemon_side import queue_is_on
from cosmos_pipelines.resources.dagster_private import instance_id
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.given_up import end_dependents
from cosmos_pipelines.runs.lost import end_lost_loads
from cosmos_pipelines.runs.next_loads import next_loads
from cosmos_pipelines.runs.room import room_of
from cosmos_pipelines.sensors.requests import TRIES, Asked, Fate, fates, read_cursor, write_cursor
from cosmos_pipelines.sensors.waiting import wait_until
from cosmos_pipelines.settings import Settings

NO_TAGS: Final[Mapping[str, str]] = {}


@dg.sensor(
    job=execute_runs_batch,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts what waits in the catalog's queue; runs that fit together are one Dagster "
    "run, which executes them in one load of the model.",
)
def dispatch_queue(
    context: dg.SensorEvaluationContext, catalog: CatalogResource
) -> dg.SensorResult | dg.SkipReason:
    """Request Dagster runs for the next loads."""
    with catalog.open() as (store, settings):
        look_again(settings)
        end_lost_loads(store)
        end_dependents(store, settings)
        tick = _Tick(context, store, f"dagster {instance_id(context.instance)}")
        tick.look_at_asked()
        there = bool(tick.requests) or wait_until(
            context, store, lambda: _may_take(store, settings)
        )
        loads: list[Load] = []
        if there and queue_is_on(context.instance) is not False:
            loads = _take(context, store, settings, tick)
        runs = store.find_runs(run_id for load in loads for run_id in load.run_ids)
        members = [[runs[name] for name in load.run_ids if name in runs] for load in loads]
        tags = dagster_tags(store, members)
    for load, named in zip(loads, tags, strict=True):
        tick.asked[load.id] = Asked(load.id, 1)
        tick.requests.append(_request(load, named))
    cursor = write_cursor(tick.asked)
    if not tick.requests:
        context.update_cursor(cursor)
        return dg.SkipReason("No load can be started now.")
    _add_partitions(context.instance, members)
    return dg.SensorResult(run_requests=tick.requests, cursor=cursor)


def _may_take(catalog: Catalog, settings: Settings) -> bool:
    """Whether a run waits that a place has room for."""
    if not catalog.ready_runs(1):
        return False
    places = room_of(catalog, settings).places
    return bool(places and catalog.ready_runs(1, places=places))


def _take(
    context: dg.SensorEvaluationContext, catalog: Catalog, settings: Settings, tick: "_Tick"
) -> list[Load]:
    """Take the next loads out of the queue."""

    def say(sentence: str, error: Exception) -> None:
        context.log.warning(sentence, exc_info=None if isinstance(error, CosmosError) else error)

    last = {name for name, entry in tick.asked.items() if not entry.key and _is_last(entry)}
    loads = []
    for wanted in next_loads(catalog, settings, room_of(catalog, settings), say, alone=last):
        if load := catalog.claim_load(wanted, tick.owner):
            loads.append(load)
    return loads


def _is_last(entry: Asked) -> bool:
    return entry.tries >= TRIES - 1


@dataclass
class _Tick:
    """What was requested and is not begun yet, and what Dagster must be told again."""

    context: dg.SensorEvaluationContext
    catalog: Catalog
    owner: str
    asked: dict[str, Asked] = field(default_factory=dict)
    """By the id of a load: what was requested for it; by that of a run: how often in vain."""
    requests: list[dg.RunRequest] = field(default_factory=list)

    def look_at_asked(self) -> None:
        """See what became of the loads that were requested."""
        before = read_cursor(self.context, Asked)
        pending = self._pending(name for name, entry in before.items() if not entry.key)
        self.asked = {name: entry for name, entry in before.items() if name in pending}
        loads = self.catalog.find_loads(name for name, entry in before.items() if entry.key)
        # the cursor of a tick in which the daemon died, or that a user has reset, lacks some
        loads |= {load.id: load for load in self.catalog.open_loads() if self._mine(load)}
        entries = {
            name: before.get(name) or Asked(name, 1, at=load.created_at.timestamp())
            for name, load in loads.items()
        }
        waiting = [entries[name] for name, load in loads.items() if self._mine(load)]
        became = fates(self.context.instance, waiting)
        for name, load in loads.items():
            if load.state == "ended":
                if load.said:
                    self._in_vain(load, load.said)
            elif self._mine(load):
                self._judge(load, entries[name], became[name])
            else:
                self.asked[name] = entries[name]
        self._renew([load for name, load in loads.items() if name in self.asked])

    def _judge(self, load: Load, entry: Asked, fate: Fate) -> None:
        if fate.state == "waits":
            self.asked[load.id] = replace(entry, seen=fate.dagster_run_id)
        elif fate.state == "cancelled" or (fate.state == "gone" and fate.dagster_run_id):
            self._cancel(load, fate)
        elif fate.state == "unsent" and entry.tries < TRIES:
            self.asked[load.id] = replace(entry, tries=entry.tries + 1, seen=fate.dagster_run_id)
            self.requests.append(_request(load))
            self.context.log.warning(f"{load.id}: {fate.said} It is put there now.")
        else:
            self.catalog.end_load(load.id, fate.said)
            self._in_vain(load, fate.said, entry.tries)

    def _cancel(self, load: Load, fate: Fate) -> None:
        """A user who cancels or deletes a Dagster run in its queue does not want its runs."""
        for run_id in self._pending(load.run_ids, load):
            ended = self.catalog.advance(
                run_id,
                "",
                "pending",
                "cancelled",
                error_kind="cancelled",
                error_message=f"{fate.said} `cosmos run {run_id}` executes it.",
            )
            if ended:
                self.context.log.info(f"{run_id} is cancelled: {fate.said}")
        self.catalog.end_load(load.id)

    def _in_vain(self, load: Load, said: str, tries: int = 1) -> None:
        """Count requests whose Dagster run has not begun the runs; the last one fails them."""
        for run_id in self._pending(load.run_ids):
            number = tries + (self.asked[run_id].tries if run_id in self.asked else 0)
            if number < TRIES:
                self.asked[run_id] = Asked(None, number)
                self.context.log.warning(f"{run_id} waits again: {said}")
                continue
            self.asked.pop(run_id, None)
            why = f"It was not started, {TRIES} times. {said} See Dagster's page."
            if self.catalog.advance(
                run_id, "", "pending", "failed", error_kind="launch_failed", error_message=why
            ):
                self.context.log.error(f"{run_id} has failed: {why}")

    def _pending(self, run_ids: Iterable[str], load: Load | None = None) -> set[str]:
        """Those of these runs that are pending, and in this load if one is given."""
        return {
            run.id
            for run in self.catalog.find_runs(run_ids).values()
            if run.status == "pending" and (load is None or run.load_id == load.id)
        }

    def _renew(self, loads: Sequence[Load]) -> None:
        """Keep what waits in Dagster's queue. Only what is due: each write wakes who follows."""
        due = utc_now() + timedelta(seconds=CLAIM_S / 2)
        ids = [
            load.id
            for load in loads
            if self._mine(load) and load.claimed_until and load.claimed_until < due
        ]
        if ids:
            self.catalog.renew_loads(ids, self.owner)

    def _mine(self, load: Load) -> bool:
        return load.state != "ended" and load.claimed_by == self.owner


def _request(load: Load, named: Mapping[str, str] = NO_TAGS) -> dg.RunRequest:
    """`named`: tags for a Dagster run that is new; one that there is has its own."""
    ids = load.run_ids
    tags = {**named, "cosmos/runs": str(len(ids)), BY: QUEUE, "cosmos/first_run": ids[0]}
    config = batch_config(ids, load.id)
    return dg.RunRequest(run_key=load.id, job_name=BATCH, run_config=config, tags=tags)


def _add_partitions(instance: dg.DagsterInstance, batches: Sequence[Sequence[Run]]) -> None:
    """The keys of these runs: `catalog_sync` may not have run yet."""
    keys: dict[str, set[str]] = {}
    for run in (run for batch in batches for run in batch):
        asset, partition = place_of(run)
        keys.setdefault(str(PARTITIONS[asset].name), set()).add(partition)
    for name, wanted in keys.items():
        add_keys(instance, name, sorted(wanted))
