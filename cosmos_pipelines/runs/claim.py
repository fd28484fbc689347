"""Which runs a process takes into work, and which of them were begun before.

What an earlier attempt has on its host is looked at before another one starts: work that goes on or
is done is taken up; the rest is removed. No Dagster in this file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from loguru import logger

from cosmos_pipelines.backends.owner import owner_gone
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.errors import BackendError, StateError, Unreachable
from cosmos_pipelines.operations.base import Verdict
from cosmos_pipelines.runs.context import Work
from cosmos_pipelines.runs.lease import LEASE_S

OURS_TO_BLAME: Final[frozenset[str]] = frozenset({"unreachable", "disk_full", "lost"})
"""Failures after which the model's work may still be found where it was done."""
BROKEN_OFF: Final[frozenset[str]] = frozenset({"cancelled", "launch_failed"})
"""What an interrupt or an error of ours is called: it may have come while results came home."""


def take(
    work: Work, run_ids: Iterable[str], dagster_run_id: str | None
) -> tuple[list[Run], list[Run]]:
    """Lease the runs: those to start, and those begun before, with the rest of their batches.

    Raises:
        StateError: another live process is executing one of the runs; none is taken then.
    """
    fresh: list[Run] = []
    begun: dict[str, Run] = {}
    for run_id in dict.fromkeys(run_ids):
        run = work.catalog.get_run(run_id)
        if run.status == "completed" or run.id in begun:
            continue
        if run.leased_by and owner_gone(run.leased_by):
            work.catalog.release(run.id, run.leased_by)
        if run.status in ACTIVE:
            begun |= {mate.id: mate for mate in _adopted(work, run, dagster_run_id)}
            taken = begun.get(run.id)
        else:
            left = _left_behind(work, run)
            taken = work.catalog.claim(
                run.id, work.owner, lease_s=LEASE_S, dagster_run_id=dagster_run_id
            )
            if taken and left:
                taken = work.catalog.advance(
                    run.id, work.owner, "uploading", "uploading", batch_id=left
                )
                begun |= {run.id: taken} if taken else {}
            elif taken:
                _clear(work, run)
                fresh.append(taken)
        if taken is None:
            for held in [*fresh, *begun.values()]:
                _give_back(work, held)
            now = work.catalog.get_run(run.id)
            raise StateError(
                f"Run {run.id} is {now.status} and being executed by {now.leased_by}.",
                hint=f"Watch it with `cosmos logs -f {run.id}`.",
            )
    return fresh, list(begun.values())


def _adopted(work: Work, run: Run, dagster_run_id: str | None) -> list[Run]:
    """A run in work and its mates, as far as nobody else holds them."""
    mates = work.catalog.list_runs(batch_id=run.batch_id, limit=None) if run.batch_id else [run]
    adopted = []
    for mate in mates:
        if mate.status not in ACTIVE:
            continue
        if (ours := work.catalog.adopt(mate.id, work.owner, LEASE_S)) is not None:
            noted = work.catalog.advance(
                ours.id, work.owner, ours.status, ours.status, dagster_run_id=dagster_run_id
            )
            adopted.append(noted or ours)
    return adopted


def _left_behind(work: Work, run: Run) -> str | None:
    """The order of a run that failed only on our side of it, if its work goes on or is done.

    Also if its host is away: nothing else may start before somebody has looked.
    """
    ours = run.error_kind in OURS_TO_BLAME
    if run.batch_id is None or not (ours or run.error_kind in BROKEN_OFF):
        return None
    try:
        handle = work.backend.find(run.batch_id)
        if handle is None:
            return None
        if work.backend.alive(handle):
            return run.batch_id if ours else None
        outcome = work.backend.outcome(handle)
        wanted = {e.name for e in work.backend.order_of(handle).expected if e.run_id == run.id}
    except Unreachable:
        return run.batch_id if ours else None
    # A model that failed may have left broken files as well, unless it called them finished itself.
    # One whose end nobody saw is looked at.
    sound = outcome.exit_code == 0 or run.error_kind == "unreachable"
    made = wanted <= (outcome.outputs.keys() if sound else outcome.finished)
    return run.batch_id if wanted and made else None


def _clear(work: Work, before: Run) -> None:
    """Remove what the attempt before has on its host, if no other run needs it."""
    order = before.batch_id
    if order is None or work.catalog.list_runs(batch_id=order, limit=1):
        return
    try:
        handle = work.backend.find(order)
        if handle is not None and work.backend.alive(handle):
            work.backend.cancel(handle, work.settings.execution.grace_s)
        work.backend.discard(order)
    except BackendError as e:
        logger.warning("What is left of {id} was not removed: {error}", id=order, error=e)


def _give_back(work: Work, run: Run) -> None:
    """Leave a run that we took but did not touch; one that we claimed is cancelled."""
    if run.status == "uploading" and run.batch_id is None:
        work.end(run.id, Verdict(kind="cancelled", message="Not started: a mate was taken."))
    else:
        work.catalog.release(run.id, work.owner)
