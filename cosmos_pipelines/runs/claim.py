"""Which runs a process takes into work, and which of them were begun before.

What an earlier attempt has on its host is looked at before another one starts: work that goes on or
is done is taken up; the rest is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from loguru import logger

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.owner import owner_shown
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.runs import LEASE_S
from cosmos_pipelines.errors import BackendError, StateError, Unreachable
from cosmos_pipelines.operations.base import Order, Verdict
from cosmos_pipelines.runs.context import RunContext
from cosmos_pipelines.runs.given_up import was_given_up
from cosmos_pipelines.runs.lost import may_be_taken
from cosmos_pipelines.runs.stall import may_start_again, note_again

MAY_STILL_RUN: Final[frozenset[str]] = frozenset({"unreachable", "disk_full", "lost"})
"""Failures after which the model's work may still be found where it was done."""
INTERRUPTED: Final[frozenset[str]] = frozenset({"cancelled", "launch_failed"})
"""What an interrupt or an error of ours is called: it may have come while results came home."""


def claim_runs(
    context: RunContext, run_ids: Iterable[str], dagster_run_id: str | None
) -> tuple[list[Run], list[Run]]:
    """Lease the runs: those to start, and those begun before, with the rest of their batches.

    Of the runs of a load, those are taken that are still in it and that nobody has begun. Where
    only lost runs are wanted, those are taken that are in work and whose process is gone.

    Raises:
        StateError: another live process is executing one of the runs; none is taken then.
    """
    if context.load is not None:
        return _claim_load(context, run_ids, dagster_run_id), []
    if context.only_lost:
        return [], _claim_lost(context, run_ids, dagster_run_id)
    return _claim_named(context, run_ids, dagster_run_id)


def _claim_named(
    context: RunContext, run_ids: Iterable[str], dagster_run_id: str | None
) -> tuple[list[Run], list[Run]]:
    fresh: list[Run] = []
    begun: dict[str, Run] = {}
    for run_id in dict.fromkeys(run_ids):
        run = context.catalog.get_run(run_id)
        if run.status == "completed" or run.id in begun:
            continue
        if not may_be_taken(context.catalog, run, context.owner):
            taken = None
        elif run.status in ACTIVE:
            begun |= {mate.id: mate for mate in _adopted(context, run, dagster_run_id)}
            taken = begun.get(run.id)
        else:
            left, unseen = _looked_at(context, run)
            taken = context.catalog.claim(
                run.id, context.owner, lease_s=LEASE_S, dagster_run_id=dagster_run_id
            )
            if taken and (left or unseen):
                taken = context.catalog.advance(
                    run.id, context.owner, "uploading", "uploading", batch_id=run.batch_id
                )
                if taken and unseen:
                    context.end(run.id, unseen)
                elif taken:
                    begun[run.id] = taken
            elif taken:
                _clear(context, run)
                fresh.append(taken)
        if taken is None:
            for held in [*fresh, *begun.values()]:
                _give_back(context, held)
            now = context.catalog.get_run(run.id)
            raise StateError(
                f"Run {run.id} is {now.status} and being executed by {owner_shown(now.leased_by)}.",
                hint=f"Watch it with `cosmos logs -f {run.id}`.",
            )
    return fresh, list(begun.values())


def _claim_load(
    context: RunContext, run_ids: Iterable[str], dagster_run_id: str | None
) -> list[Run]:
    taken = []
    for run_id in dict.fromkeys(run_ids):
        run = context.catalog.claim(
            run_id,
            context.owner,
            lease_s=LEASE_S,
            dagster_run_id=dagster_run_id,
            load=context.load_id,
        )
        if run is None:
            logger.info("{id} is left alone: it has left the load", id=run_id)
        else:
            taken.append(run)
    return taken


def _claim_lost(
    context: RunContext, run_ids: Iterable[str], dagster_run_id: str | None
) -> list[Run]:
    """Take over the runs that are lost now; another process may have ended one since it was asked.

    A run that failed meanwhile is not started again: nobody has asked for that. One that was given
    up while its host was away is gone on with, if its order is there.
    """
    begun: dict[str, Run] = {}
    for run_id in dict.fromkeys(run_ids):
        run = context.catalog.find_run(run_id)
        if run is None or run.id in begun:
            continue
        if run.status in ACTIVE and may_be_taken(context.catalog, run, context.owner):
            begun |= {mate.id: mate for mate in _adopted(context, run, dagster_run_id)}
        elif was_given_up(run):
            begun |= {taken.id: taken for taken in _taken_up(context, run, dagster_run_id)}
        if run.id not in begun:
            now = context.catalog.find_run(run.id) or run
            said = now.status if now.status not in ACTIVE else "taken over by another process"
            logger.info("{id} is left alone: it is {said} by now", id=run.id, said=said)
    return list(begun.values())


def _taken_up(context: RunContext, run: Run, dagster_run_id: str | None) -> Iterator[Run]:
    """Lease a given-up run whose order is there; where nothing is there, the run says so."""
    try:
        missing = _missing(context, run)
    except BackendError as e:
        logger.warning("Run {id}: nobody can look at its order yet: {why}", id=run.id, why=e)
        return
    taken = context.catalog.claim(
        run.id, context.owner, lease_s=LEASE_S, dagster_run_id=dagster_run_id
    )
    if taken is None:
        return
    if missing:
        said = f"Its host answers again, but nobody can go on with the run: {missing}"
        context.end(run.id, Verdict(kind="lost", message=said))
        return
    noted = context.catalog.advance(
        run.id, context.owner, "uploading", "uploading", batch_id=run.batch_id
    )
    if noted is not None:
        context.taken_up.add(run.id)
        yield noted


def _missing(context: RunContext, run: Run) -> str | None:
    """Why nobody can go on with the order of a run, or bring home what it made; None: it is there.

    Raises:
        BackendError: nobody can look at the order now.
    """
    handle = context.backend.find(run.batch_id, begun=True) if run.batch_id else None
    if handle is None:
        return "nothing is left of it there. Run it again."
    try:
        context.backend.order_of(handle)
    except BackendError as e:
        if e.kind != "lost":
            raise
        return str(e)
    return None


def claim_stalled(
    context: RunContext, run_ids: Iterable[str], dagster_run_id: str | None
) -> list[Run]:
    """Lease those of the runs that have just stalled, for their next attempt; each but once."""
    taken = []
    for run in context.catalog.find_runs(run_ids).values():
        if not may_start_again(run):
            continue
        again = context.catalog.claim(
            run.id,
            context.owner,
            lease_s=LEASE_S,
            dagster_run_id=dagster_run_id,
            load=context.load_id,
        )
        if again is not None:
            note_again(context, run)
            _clear(context, run)
            taken.append(again)
    return taken


def _adopted(context: RunContext, run: Run, dagster_run_id: str | None) -> list[Run]:
    """A run in work and its mates, as far as nobody else holds them."""
    mates = context.catalog.list_runs(batch_id=run.batch_id, limit=None) if run.batch_id else [run]
    adopted = []
    for mate in mates:
        if mate.status not in ACTIVE or not may_be_taken(context.catalog, mate, context.owner):
            continue
        ours = context.catalog.adopt(mate.id, context.owner, LEASE_S, seen=mate.leased_by)
        if ours is not None:
            noted = context.catalog.advance(
                ours.id, context.owner, ours.status, ours.status, dagster_run_id=dagster_run_id
            )
            adopted.append(noted or ours)
    return adopted


def _looked_at(context: RunContext, run: Run) -> tuple[bool, Verdict | None]:
    """Whether the order of an ended run is taken up; why nothing is started if nobody can look."""
    try:
        return _goes_on_or_made(context, run), None
    except BackendError as e:
        if run.started_at is not None:
            return True, None  # its order has begun, so its place is waited for
        said = f"Nothing was started, as nobody can look at what an earlier attempt has left: {e}"
        return False, Verdict(kind="unreachable", message=said)


def _goes_on_or_made(context: RunContext, run: Run) -> bool:
    """Whether the order of an ended run still runs, or has made what the run is for.

    What runs is taken up whatever the run's row says, unless it was asked to stop or its run
    folder is gone.

    Raises:
        BackendError: nobody can look at the order now.
    """
    if run.batch_id is None:
        return False
    handle = context.backend.find(run.batch_id, begun=run.started_at is not None)
    if handle is None:
        return False
    order = _order_there(context, handle)
    if context.backend.alive(handle):
        if order is not None and not context.backend.asked_to_stop(handle):
            logger.info("Run {id} is {status}, but its order runs", id=run.id, status=run.status)
            return True
        context.backend.cancel(handle, context.settings.execution.grace_s)  # waits for its end
    if order is None or run.error_kind not in MAY_STILL_RUN | INTERRUPTED:
        return False
    try:
        outcome = context.backend.outcome(handle)
        wanted = {e.name for e in order.expected if e.run_id == run.id}
    except Unreachable:
        raise
    except BackendError as e:
        logger.warning("What {id} has made cannot be used: {why}", id=run.batch_id, why=e)
        return False
    # A model that failed may have left broken files as well, unless it called them finished itself.
    # One whose end nobody saw is looked at.
    sound = outcome.exit_code == 0 or run.error_kind == "unreachable"
    made = wanted <= (outcome.outputs.keys() if sound else outcome.finished)
    return bool(wanted) and made


def _order_there(context: RunContext, handle: Handle) -> Order | None:
    """The order of what is there; None if its folder is gone: nothing of it can come home."""
    try:
        return context.backend.order_of(handle)
    except BackendError as e:
        if e.kind != "lost":
            raise
        logger.warning("{why} It is started again.", why=e.message)
        return None


def _clear(context: RunContext, before: Run) -> None:
    """Remove what the ended attempt before has on its host, if no other run needs it."""
    order = before.batch_id
    if order is None or context.catalog.list_runs(batch_id=order, limit=1):
        return
    try:
        context.backend.discard(order)
    except (BackendError, StateError) as e:
        logger.warning("What is left of {id} was not removed: {error}", id=order, error=e)


def _give_back(context: RunContext, run: Run) -> None:
    """Leave a run that we took but did not touch; one that we claimed is cancelled."""
    if run.status == "uploading" and run.batch_id is None:
        context.end(run.id, Verdict(kind="cancelled", message="Not started: a mate was taken."))
    else:
        context.catalog.release(run.id, context.owner)
