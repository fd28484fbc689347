"""Start the order of runs that are wanted, once its place has room for it."""

from __future__ import annotations

from functools import partial
from typing import Any

from loguru import logger

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.launch_when_free import launch_when_free
from cosmos_pipelines.errors import CosmosError, Unreachable
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.context import NotStarted, RunContext, Withdrawn
from cosmos_pipelines.runs.known_places import note_away


def launch_wanted(context: RunContext, order: Order) -> Handle:
    """Start the order; where others use the GPUs, wait, and say so.

    Raises:
        Withdrawn: all its runs were cancelled while it waited.
        NotStarted: the queue does not want it any more, or its place is away and has not been asked
            to start it. For a place that goes away now, runs for any place wait as long as
            `[queue] elsewhere_after_s`.
        TakenOver: another process has them.
        CosmosError: what `Backend.launch` raises.
    """
    wanted = partial(_check_wanted, context, order)
    uploaded = context.until(order.id, "upload_s")
    waited: list[str] = []

    def told(why: str) -> None:
        uploaded()
        logger.info("{id} waits. {why}", id=order.id, why=why)
        waited.append(why)
        _show(context, order, {"done": 0, "total": 0, "text": f"waits: {why}"})

    def before_start() -> None:
        uploaded()
        wanted()
        context.check_may_start(order)

    if context.load is None:
        context.check_may_start(order)  # before anything is sent
    backend = context.backend
    if context.load is not None and _for_any_place(context, order):
        backend.patience_s = context.settings.queue.elsewhere_after_s
    try:
        handle = launch_when_free(backend, order, told, wanted, before_start)
    except Unreachable as e:
        if context.load is None or backend.may_have_started(order.id):
            raise
        note_away(context.settings, backend.name, str(e))
        raise NotStarted(f"{backend.name} is away. {e.message}") from e
    if waited:
        _show(context, order, None)
    return handle


def _for_any_place(context: RunContext, order: Order) -> bool:
    return all(run.any_place for run in context.catalog.find_runs(order.run_ids).values())


def _check_wanted(context: RunContext, order: Order) -> None:
    """Go on to the start only while a run of the order is still ours and not cancelled.

    Raises:
        Withdrawn: all were cancelled while the order waited.
        TakenOver: another process has them.
    """
    runs = context.catalog.find_runs(order.run_ids).values()
    if all(run.status == "cancelled" for run in runs):
        raise Withdrawn(f"Order {order.id} is not started: its runs were cancelled.")
    context.check_held(order.id, order.run_ids)


def _show(context: RunContext, order: Order, progress: dict[str, Any] | None) -> None:
    """Say on the card of each run what it waits for."""
    for run_id in order.run_ids:
        try:
            context.catalog.advance(
                run_id, context.owner, "uploading", "uploading", progress=progress
            )
        except CosmosError as e:  # a note that is missing is no reason to start nothing
            logger.warning("{run}: its waiting was not noted: {error}", run=run_id, error=e)
