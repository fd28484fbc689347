"""Start the order of runs that are wanted, once its place has room for it."""

from __future__ import annotations

from functools import partial

from loguru import logger

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.launch_when_free import launch_when_free
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
    uploaded = context.until(order.id, "upload_s")

    def told(why: str) -> None:
        uploaded()
        _tell_waiting(context, order, why)

    def before_start() -> None:
        uploaded()
        wanted()
        context.check_may_start()

    return launch_when_free(context.backend, order, told, wanted, before_start)


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


def _tell_waiting(context: RunContext, order: Order, why: str) -> None:
    """Say in the log and on the card of each run what it waits for."""
    logger.info("{id} waits. {why}", id=order.id, why=why)
    progress = {"done": 0, "total": 0, "text": f"waits: {why}"}
    for run_id in order.run_ids:
        context.catalog.advance(run_id, context.owner, "uploading", "uploading", progress=progress)
