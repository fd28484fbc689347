"""Which runs a process takes into work, and which of them were begun before.

What an earlier attempt has on its host is looked at before another one starts: work that goes on or
is done is taken up; the rest is removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from loguru import logger

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.owner import owner_shown
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.errors import BackendError, StateError, Unreachable
from cosmos_pipelines.operations.base import Order, Verdict
from cosmos_pipelines.runs.context import RunContext
from cosmos_pipelines.runs.lease import LEASE_S
from cosmos_pipelines.runs.lost import may_be_taken

MAY_STILL_RUN: Final[frozenset[str]] = frozenset({"unreachable", "disk_full", "lost"})
"""Failures after which the model's work may still be found where it was done."""
INTERRUPTED: Final[frozenset[str]] = frozenset({"cancelled", "launch_failed"})
"""What an interrupt or an error of ours is called: it may have come while results came home."""


def claim_runs(
    context: RunContext, run_ids: Iterable[str], dagster_run_id: str | None
) -> tuple[list[Run], list[Run]]:
    """Lease the runs: those to start, and those begun before, with the rest of their batches.

    Raises:
        StateError: another live process is executing one of the runs; none is taken then.
    """
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
            left = _left_behind(context, run)
            taken = context.catalog.claim(
                run.id, context.owner, lease_s=LEASE_S, dagster_run_id=dagster_run_id
            )
            if taken and left:
                taken = context.catalog.advance(
                    run.id, context.owner, "uploading", "uploading", batch_id=left
                )
                begun |= {run.id: taken} if taken else {}
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


def _left_behind(context: RunContext, run: Run) -> str | None:
    """The order of a run that failed only on our side of it, if its work goes on or is done.

    Also if its host is away: nothing else may start before somebody has looked.
    """
    ours = run.error_kind in MAY_STILL_RUN
    if run.batch_id is None or not (ours or run.error_kind in INTERRUPTED):
        return None
    try:
        handle = context.backend.find(run.batch_id)
        order = _order_there(context, handle) if handle else None
        if handle is None or order is None:
            return None
        if context.backend.alive(handle):
            return run.batch_id if ours else None
        outcome = context.backend.outcome(handle)
        wanted = {e.name for e in order.expected if e.run_id == run.id}
    except Unreachable:
        return run.batch_id if ours else None
    # A model that failed may have left broken files as well, unless it called them finished itself.
    # One whose end nobody saw is looked at.
    sound = outcome.exit_code == 0 or run.error_kind == "unreachable"
    made = wanted <= (outcome.outputs.keys() if sound else outcome.finished)
    return run.batch_id if wanted and made else None


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
    """Remove what the attempt before has on its host, if no other run needs it."""
    order = before.batch_id
    if order is None or context.catalog.list_runs(batch_id=order, limit=1):
        return
    try:
        handle = context.backend.find(order)
        if handle is not None and context.backend.alive(handle):
            context.backend.cancel(handle, context.settings.execution.grace_s)
        context.backend.discard(order)
    except BackendError as e:
        logger.warning("What is left of {id} was not removed: {error}", id=order, error=e)


def _give_back(context: RunContext, run: Run) -> None:
    """Leave a run that we took but did not touch; one that we claimed is cancelled."""
    if run.status == "uploading" and run.batch_id is None:
        context.end(run.id, Verdict(kind="cancelled", message="Not started: a mate was taken."))
    else:
        context.catalog.release(run.id, context.owner)
