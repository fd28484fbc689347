"""How the runs of an order ended: collected, verified and finished, each by itself.

What a run's program has finished is its result, however the order as a whole came to its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from loguru import logger

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.catalog.records import Run, Status
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import BackendError, CosmosError, DiskFull, RunFailed, StateError
from cosmos_pipelines.operations.base import Order, Outcome, Verdict
from cosmos_pipelines.runs.context import RunContext, TakenOver, verdict_of
from cosmos_pipelines.runs.progress import WatchedLog
from cosmos_pipelines.runs.results import collect_run, leave, record_of


@dataclass
class LaunchedOrder:
    """An order that was started, and those of its runs that are ours to bring to their end."""

    engine: Engine
    order: Order
    handle: Handle
    log: WatchedLog
    mine: dict[str, Run]
    """By id, as they were taken: what was asked for is read of them, not how far they are."""
    completed_early: set[str] = field(default_factory=set)
    """Those that were completed while the order was going on with others."""
    has_room: bool = True
    """Whether there was room here for what has come so far."""


def record_made(context: RunContext, launched: LaunchedOrder) -> None:
    """Complete what an order that goes on with other runs has made already.

    The last of our runs is left to the order's end, and so is one that does not come home now or is
    not what was asked for: nothing fails here.
    """
    for run_id in launched.log.newly_made():
        last = len(launched.completed_early) + 1 >= len(launched.mine)
        if (
            run_id not in launched.mine
            or run_id in launched.completed_early
            or last
            or not launched.has_room
        ):
            continue
        try:
            _bring(context, launched, run_id)
        except TakenOver:
            raise
        except Exception as e:  # noqa: BLE001 - whatever it is, it must not stop the model
            logger.warning("{run} stays there until its order ends: {why}", run=run_id, why=e)
            if isinstance(e, DiskFull):  # what is left is for the log
                launched.has_room = False
                leave(context.settings, launched.order, run_id)


def _bring(context: RunContext, launched: LaunchedOrder, run_id: str) -> None:
    outcome = context.backend.finished(launched.handle)
    if not all(e.name in outcome.outputs for e in launched.order.expected if e.run_id == run_id):
        return  # its program tells only in the end what is whole
    context.records[launched.order.id] = {"samples": outcome.samples}
    if completed := _complete(context, launched, outcome, run_id, "running"):
        launched.completed_early.add(run_id)
        context.completed(completed)


def record_all(context: RunContext, launched: LaunchedOrder) -> None:
    """Collect, verify and finish each of our runs of an order that has ended."""
    order = launched.order
    context.check_held(order.id, launched.mine)
    outcome = context.backend.outcome(launched.handle)
    logger.info("Order {id} ended with exit code {code}", id=order.id, code=outcome.exit_code)
    context.records[order.id] = record_of(
        context.settings,
        context.backend,
        launched.handle,
        order.id,
        next(iter(launched.mine)),
        outcome,
    )
    for run_id in (r for r in launched.mine if r not in launched.completed_early):
        if not context.catalog.advance(run_id, context.owner, "running", "downloading"):
            run = context.catalog.find_run(run_id)
            if run is None or run.status != "downloading" or run.leased_by != context.owner:
                continue  # a mate that ended before, or is somebody else's now
        try:
            _record(context, launched, outcome, run_id)
        except CosmosError as e:
            logger.error("{run}: {error}", run=run_id, error=e)
            context.end(run_id, verdict_of(e, begun=True), outcome.exit_code)
    if all(run.status != "failed" for run in context.catalog.find_runs(order.run_ids).values()):
        try:
            context.backend.discard(order.id)
        except (BackendError, StateError) as e:
            logger.warning("What is left of {id} was not removed: {error}", id=order.id, error=e)


def _record(context: RunContext, launched: LaunchedOrder, outcome: Outcome, run_id: str) -> None:
    expected = [e for e in launched.order.expected if e.run_id == run_id]
    if not all(e.name in outcome.outputs for e in expected):
        verdict = _why(launched, outcome, run_id)
        logger.error("{run}: {kind}: {m}", run=run_id, kind=verdict.kind, m=verdict.message)
        context.end(run_id, verdict, outcome.exit_code)
        return
    try:
        if completed := _complete(context, launched, outcome, run_id, "downloading"):
            context.completed(completed)
    except RunFailed:
        if outcome.exit_code == 0:
            raise
        verdict = _why(launched, outcome, run_id)
        context.end(run_id, verdict, outcome.exit_code)  # the cause, not its trace


def _why(launched: LaunchedOrder, outcome: Outcome, run_id: str) -> Verdict:
    """Return why a run has no result; what a cluster says it did to the order comes first."""
    if outcome.ended_by is not None and outcome.stopped is None:
        return outcome.ended_by
    return launched.engine.diagnose(outcome, launched.log.tail(), run_id)


def _complete(
    context: RunContext, launched: LaunchedOrder, outcome: Outcome, run_id: str, status: Status
) -> Run | None:
    """Bring a run's result home and call it completed; `status` is what it has now.

    None: it was killed, or is somebody else's now.

    Raises:
        CosmosError: it did not come, or is not what was asked for.
    """
    held = partial(context.check_held, launched.order.id, launched.mine)
    outputs = collect_run(
        context, launched.handle, launched.order, launched.mine[run_id], outcome, held
    )
    if status == "running" and not context.catalog.advance(
        run_id, context.owner, status, "downloading"
    ):
        return None
    run = context.catalog.find_run(run_id)
    if run is None:
        return None
    outputs |= context.run_facts(launched.order, run)
    ended: dict[str, Any] = {"outputs": outputs, "exit_code": outcome.exit_code}
    completed = context.catalog.advance(run_id, context.owner, "downloading", "completed", **ended)
    if completed:
        logger.info("{run} completed", run=run_id)
    return completed
