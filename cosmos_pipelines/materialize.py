"""Executing runs from this very process, as Dagster runs that the page shows: the CLI's way.

One run goes through its asset's partition, several through the batch job, just as from the page
or the dispatcher, but without waiting for a daemon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, DiskFull, StateError
from cosmos_pipelines.runs.given_up import was_given_up
from cosmos_pipelines.runs.log import OnLine
from cosmos_pipelines.runs.lost import looks_lost
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialize_runs(
    catalog: Catalog,
    settings: Settings,
    run_ids: Sequence[str],
    *,
    on_line: OnLine | None = None,
) -> list[Run]:
    """Bring runs to their end and record them in Dagster; returns them as they then are.

    A run that fails says so in its row and raises nothing here. Completed ones are not executed.

    Raises:
        StateError: another live process is executing one of them.
        DiskFull: no room for Dagster's records; what the catalog says of the runs is right.
        KeyboardInterrupt: after the work was stopped and recorded as cancelled.
    """
    wanted = catalog.get_runs(run_ids)
    unfinished = [run for run in wanted if run.status != "completed"]
    if not unfinished:
        return wanted
    try:
        _execute(catalog, settings, unfinished, on_line)
    except DiskFull as e:
        raise _with_what_to_do(catalog, unfinished, e) from e
    return catalog.get_runs(run.id for run in wanted)


def materialize_lost(
    catalog: Catalog, settings: Settings, run_ids: Sequence[str], *, on_line: OnLine | None = None
) -> None:
    """Bring runs to their end whose process is gone, or that were given up; leave others alone.

    What was given up is never started anew: its order is there, or the run says that it is lost.

    Raises:
        DiskFull, KeyboardInterrupt: as in `materialize_runs`.
    """
    found = catalog.find_runs(run_ids).values()
    lost = [run for run in found if looks_lost(run) or was_given_up(run)]
    if lost:
        _execute(catalog, settings, lost, on_line, lost=True)


def materialize_load(
    catalog: Catalog, settings: Settings, load_id: str, *, on_line: OnLine | None = None
) -> None:
    """Execute what a load still has, as `materialize_runs` does; the load ends with that.

    Raises:
        StateError: there is no such load, or it has ended.
        DiskFull, KeyboardInterrupt: as in `materialize_runs`.
    """
    load = catalog.find_loads([load_id]).get(load_id)
    if load is None or load.state == "ended":
        raise StateError(f"The load {load_id} has ended.")
    found = catalog.find_runs(load.run_ids)
    runs = [found[run_id] for run_id in load.run_ids if run_id in found]  # the others were deleted
    if runs:
        _execute(catalog, settings, runs, on_line, load_id)
    else:
        catalog.end_load(load_id)


def _with_what_to_do(catalog: Catalog, runs: Sequence[Run], error: DiskFull) -> DiskFull:
    with suppress(CosmosError):  # the catalog may be on the same disk
        left = [r.id for r in catalog.get_runs(run.id for run in runs) if r.status != "completed"]
        todo = f"then `cosmos run {' '.join(left)}`" if left else "what was made is there"
        return DiskFull(error.message, hint=f"Free some space; {todo}.")
    return error


def _execute(
    catalog: Catalog,
    settings: Settings,
    runs: list[Run],
    on_line: OnLine | None,
    load_id: str | None = None,
    *,
    lost: bool = False,
) -> None:
    import dagster as dg

    from cosmos_pipelines.assets.run_tags import dagster_tags
    from cosmos_pipelines.assets.steps import LINES
    from cosmos_pipelines.assets.sync import record
    from cosmos_pipelines.definitions import build_definitions
    from cosmos_pipelines.resources.dagster_private import DagsterAssetCheckFailedError
    from cosmos_pipelines.resources.instance import open_instance

    definitions = build_definitions(settings, daemon=False)
    token = LINES.set(on_line or _nowhere)
    try:
        with open_instance(settings, captures=False) as instance:
            (tags,) = dagster_tags(catalog, [runs])
            if len(runs) > 1 or load_id is not None or lost:
                _batch(definitions, instance, runs, tags, load_id, lost=lost)
            else:
                record(instance, catalog, settings, *runs)  # the job of a batch does so itself
                _one(definitions, instance, runs[0], tags)
    except dg.Failure as e:
        if isinstance(e.__cause__, CosmosError):
            raise e.__cause__ from None
    except DagsterAssetCheckFailedError as e:  # of one run: a batch only records its checks
        catalog.note(runs[0].id, f"Its video did not pass its checks: {' '.join(str(e).split())}.")
    except dg.DagsterExecutionInterruptedError:
        raise KeyboardInterrupt from None
    finally:
        LINES.reset(token)


def _batch(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    runs: list[Run],
    tags: Mapping[str, str],
    load_id: str | None,
    *,
    lost: bool,
) -> None:
    """One Dagster run for all; raises what its step raised."""
    from cosmos_pipelines.assets.jobs import BATCH, BY, LOST, batch_config

    by = {BY: LOST} if lost else {}
    definitions.resolve_job_def(BATCH).execute_in_process(
        instance=instance,
        run_config=batch_config([run.id for run in runs], load_id) | _QUIET,
        tags={**tags, **_ours(), **by},
    )


def _one(
    definitions: dg.Definitions, instance: dg.DagsterInstance, run: Run, tags: Mapping[str, str]
) -> None:
    """A Dagster run of its partition; raises what its step raised."""
    from cosmos_pipelines.assets.partitions import place_of

    asset, partition = place_of(run)
    config: dict[str, Any] = dict(_QUIET)
    if partition != run.id:  # the partition does not say which run
        config["ops"] = {asset.to_user_string(): {"config": {"run_id": run.id}}}
    definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        partition_key=partition,
        asset_selection=[asset],
        run_config=config,
        tags={**tags, **_ours()},
    )


def _ours() -> dict[str, str]:
    from cosmos_pipelines.resources.run_launcher import PROCESS_TAG

    return {PROCESS_TAG: owner_name(), "cosmos/by": "command line"}


def _nowhere(run_id: str | None, line: str) -> None:
    """The model's lines are in its log file."""
