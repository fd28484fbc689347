"""Stop runs, and orders that belong to no run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

from loguru import logger

from cosmos_pipelines.backends.at_once import at_once
from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.backends.owner import owner_name, owner_shown
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import (
    BackendError,
    CosmosError,
    InputError,
    StateError,
    UnknownId,
    Unreachable,
)
from cosmos_pipelines.ids import is_run_id
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.runs.claim import MAY_STILL_RUN
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.lost import is_lost, may_be_taken
from cosmos_pipelines.settings import Settings

LOG_POLL_S = 0.05
STOPS: Final = 4
"""Orders of one place that are stopped at the same time: each has a connection of its own."""


def kill(
    catalog: Catalog,
    settings: Settings,
    run_id: str | None,
    *,
    all_runs: bool = False,
    whole_batch: bool = False,
) -> list[Run]:
    """Stop one run, or all active and queued runs; return the runs after the stop.

    A run that was given up though its order still runs can be stopped by its id. Orders that belong
    to no run are not touched: see `kill_stray`.

    Raises:
        InputError: neither a run nor all runs were asked for.
        StateError: the run has ended, or shares its model load with other active runs.
        BackendError: it is not known whether a run was stopped; the others were asked to stop too.
    """
    if (run_id is None) != all_runs:
        raise InputError("Give either a run or --all to kill.")
    if run_id is None:
        chosen: Sequence[Run] = [*catalog.active_runs(), *catalog.queued_runs(None)]
    else:
        chosen = _killable(catalog, run_id, whole_batch)
    stopped, failures = _stop_all(catalog, settings, chosen)
    if failures:
        raise next(failures[run.id] for run in chosen if run.id in failures)
    return [stopped[run.id] for run in chosen]


def _stop_all(
    catalog: Catalog, settings: Settings, chosen: Sequence[Run]
) -> tuple[dict[str, Run], dict[str, CosmosError]]:
    """Stop runs, all places at the same time, and at each place at most `STOPS` orders at once.

    The runs of one order are stopped one after another: the first stop ends them all. Returns the
    runs that were stopped, and why others were not; any fault of one is its own. A place that
    cannot be reached is asked no more for its other runs, but those that only wait are taken out of
    the queue.
    """
    waiting = [run.id for run in chosen if run.status == "pending"]
    stopped = catalog.find_runs(catalog.cancel_queued(waiting))
    failures: dict[str, CosmosError] = {}
    at: dict[str, dict[str, list[Run]]] = {}
    for run in chosen:
        if run.id not in stopped:
            at.setdefault(run.backend, {}).setdefault(run.batch_id or run.id, []).append(run)
    away: dict[str, Unreachable] = {}

    def stop(runs: Sequence[Run]) -> None:
        for run in runs:
            try:
                if run.backend in away:
                    raise _not_known(run, away[run.backend])
                stopped[run.id] = _stop(catalog, settings, run)
            except CosmosError as e:  # the others are stopped nevertheless
                failures[run.id] = e
                if isinstance(e.__cause__, Unreachable):
                    away[run.backend] = e.__cause__
            except Exception as e:  # noqa: BLE001 - one run's fault never stops the others
                logger.exception("Run {run_id} could not be stopped", run_id=run.id)
                failures[run.id] = _unexpected(run, e)

    def stop_at(place: str) -> None:
        orders = list(at[place].values())
        stop(orders[0])  # the first one tells whether the place can be reached
        with ThreadPoolExecutor(STOPS) as pool:
            list(pool.map(stop, orders[1:]))

    at_once(list(at), stop_at)
    return stopped, failures


def stop_each(
    catalog: Catalog, settings: Settings, run_ids: Iterable[str], *, whole_batch: bool = False
) -> tuple[list[str], dict[str, CosmosError]]:
    """Stop runs, each as `kill` does; return the ids of the stopped ones, and why others are not.

    Those that wait are cancelled together, however many they are. The others are stopped at the
    same time, at most `STOPS` orders of a place; one that is away is asked once.
    """
    wanted = list(dict.fromkeys(run_ids))
    cancelled, known = catalog.cancel_queued(wanted), catalog.find_runs(wanted)
    stopped = dict.fromkeys(run_id for run_id in wanted if run_id in cancelled)
    refused: dict[str, CosmosError] = {}
    chosen: dict[str, Run] = {}
    asked: dict[str, Sequence[Run]] = {}
    for run_id in wanted:
        if run_id in stopped:
            continue
        try:
            if run_id not in known and is_run_id(run_id):
                raise UnknownId("run", run_id)  # without the nearest: there may be thousands
            asked[run_id] = _killable(catalog, run_id, whole_batch)
        except CosmosError as e:
            refused[run_id] = e
        else:
            chosen |= {run.id: run for run in asked[run_id]}
    ended, failures = _stop_all(catalog, settings, list(chosen.values()))
    for run_id, those in asked.items():
        failed = [failures[run.id] for run in those if run.id in failures]
        refused |= {run_id: failed[0]} if failed else {}
    stopped |= dict.fromkeys(ended)
    return list(stopped), refused


def kill_stray(catalog: Catalog, settings: Settings) -> list[str]:
    """Stop the orders of this project that belong to no run; return their ids.

    An order whose run was given up is not one of them: `run` goes on with it, `kill` stops it.

    Raises:
        CosmosError: an order could not be stopped; all others were.
    """
    stopped, failed = [], list[CosmosError]()
    for left in status(catalog, settings)["left"]:
        if left["what"] != "stray":
            continue
        try:
            with closing(backend_for(settings, left["backend"])) as backend:
                if handle := backend.find(left["id"]):
                    backend.cancel(handle, settings.execution.grace_s, reason="cancelled")
                    stopped.append(left["id"])
        except CosmosError as e:
            failed.append(e)
    if failed:
        for error in failed[1:]:
            logger.warning("Also: {error}", error=error)
        raise failed[0]
    return stopped


def _killable(catalog: Catalog, run_id: str, whole_batch: bool) -> Sequence[Run]:
    run = catalog.get_run(run_id)
    batch = catalog.list_runs(batch_id=run.batch_id, limit=None) if run.batch_id else [run]
    active = [member for member in batch if member.status in ACTIVE]
    if whole_batch and active:
        return active
    others = ", ".join(member.id for member in active if member.id != run.id)
    if run.status in ("failed", "cancelled") and run.batch_id and not others:
        return [run]  # its order may still run
    if run.status not in (*ACTIVE, "pending"):
        hint = f"Add --batch to stop the rest of its model load: {others}." if others else None
        raise StateError(f"Run {run.id} is {run.status}; there is nothing to stop.", hint=hint)
    if others:
        raise StateError(
            f"Run {run.id} shares one model load with {others}.",
            hint="Add --batch to stop all of these runs.",
        )
    return [run]


def _stop(catalog: Catalog, settings: Settings, run: Run) -> Run:
    if run.status == "pending" and (cancelled := catalog.cancel_pending(run.id)):
        return cancelled
    try:
        with closing(backend_for(settings, run.backend)) as backend:
            if run.status in ACTIVE:
                return _stop_order(catalog, settings, backend, run)
            return _stop_given_up(catalog, settings, backend, run)
    except BackendError as e:
        raise _not_known(run, e) from e


def _not_known(run: Run, why: BackendError) -> BackendError:
    return BackendError(
        why.kind,
        f"It is not known whether run {run.id} was stopped; its order may still run. {why.message}",
        hint=f"Give the command again when {run.host or 'its host'} answers.",
    )


def _unexpected(run: Run, error: Exception) -> CosmosError:
    return CosmosError(
        f"It is not known whether run {run.id} was stopped: unexpected "
        f"{type(error).__name__}: {error}",
        hint="See `cosmos status`.",
    )


def _stop_given_up(catalog: Catalog, settings: Settings, backend: Backend, run: Run) -> Run:
    """Stop the order of a run that has ended in the catalog; it is cancelled then."""
    handle = backend.find(run.batch_id) if run.batch_id in backend.active() else None
    if handle is None:
        raise StateError(f"Run {run.id} is {run.status}; there is nothing to stop.")
    backend.cancel(handle, settings.execution.grace_s, reason="cancelled")
    owner = owner_name()
    for member in catalog.list_runs(batch_id=run.batch_id, limit=None):
        given_up = member.id == run.id or member.error_kind in MAY_STILL_RUN
        if not given_up or not catalog.claim(member.id, owner):
            continue
        catalog.advance(
            member.id,
            owner,
            "uploading",
            "cancelled",
            batch_id=run.batch_id,
            error_kind="cancelled",
            error_message="Its order, which still ran after it was given up, was stopped.",
        )
    return catalog.get_run(run.id)


def _stop_order(catalog: Catalog, settings: Settings, backend: Backend, run: Run) -> Run:
    """Stop the order of a run in work; return the run when its end is recorded."""
    handle, grace_s = None, settings.execution.grace_s
    deadline = time.monotonic() + grace_s
    while (run := catalog.get_run(run.id)).status in ACTIVE:
        begun = run.status != "uploading"
        if handle is None and run.batch_id and (handle := backend.find(run.batch_id, begun=begun)):
            backend.cancel(handle, grace_s, reason="cancelled")
            deadline = time.monotonic() + grace_s
        unstarted = handle is None and not is_lost(catalog, run)
        if unstarted and (cancelled := catalog.cancel_unstarted(run.id)):
            _stop_started(backend, run.batch_id, grace_s)
            return cancelled
        if is_lost(catalog, run):
            if handle is None:
                _cancel_unstarted(catalog, run)
            else:
                _follow_lost(catalog, settings, backend, run)
        elif time.monotonic() > deadline:
            raise _not_yet(run, started=handle is not None)
        time.sleep(LOG_POLL_S)
    return run


def _follow_lost(catalog: Catalog, settings: Settings, backend: Backend, run: Run) -> None:
    """Bring a lost run to its end, unless another process has done so meanwhile."""
    execute_runs([run.id], catalog=catalog, settings=settings, backend=backend, only_lost=True)


def _stop_started(backend: Backend, order_id: str | None, grace_s: float) -> None:
    """Stop an order that was started in the moment in which its run was cancelled."""
    if order_id and (handle := backend.find(order_id)):
        backend.cancel(handle, grace_s, reason="cancelled")


def _cancel_unstarted(catalog: Catalog, run: Run) -> None:
    """End a run whose process died before the run's order was started."""
    owner = owner_name()
    if may_be_taken(catalog, run, owner) and catalog.adopt(run.id, owner, seen=run.leased_by):
        message = "The run was stopped before it had started."
        catalog.advance(
            run.id, owner, run.status, "cancelled", error_kind="cancelled", error_message=message
        )


def _not_yet(run: Run, *, started: bool) -> StateError:
    if started:
        owner = owner_shown(run.leased_by)
        return StateError(
            f"Run {run.id} was stopped, but {owner} has not recorded its end yet.",
            hint="See `cosmos status`.",
        )
    return StateError(
        f"Run {run.id} is {run.status} and has not started yet: nothing was stopped.",
        hint="Ask again in a moment.",
    )
