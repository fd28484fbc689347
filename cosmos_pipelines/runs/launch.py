"""Start the order of runs that are wanted, once its place has room for it."""

from __future__ import annotations

from functools import partial
from typing import Any

from loguru import logger

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.launch_when_free import launch_when_free
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.context import RunContext, Withdrawn


def launch_wanted(context: RunContext, order: Order) -> Handle:
    """Start the order; where others use the GPUs, wait, and say so.

    Raises:
        Withdrawn: all its runs were cancelled while it waited.
        NotStarted: the queue does not want it any more.
        TakenOver: another process has them.
        CosmosError: what `Backend.launch` raises.
    """
    wanted = partial(_check_wanted, context, order)
    waited: list[str] = []

    def told(why: str) -> None:
        logger.info("{id} waits. {why}", id=order.id, why=why)
        waited.append(why)
        _show(context, order, {"done": 0, "total": 0, "text": f"waits: {why}"})

    def before_start() -> None:
        wanted()
        context.check_may_start()

    handle = launch_when_free(context.backend, order, told, wanted, before_start)
    if waited:
        _show(context, order, None)
    return handle


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
