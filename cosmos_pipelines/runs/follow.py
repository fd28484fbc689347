"""An order that has been launched is followed until its runs are recorded as ended."""

from __future__ import annotations

from typing import Any

from loguru import logger

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.catalog.lifecycle import FIELDS
from cosmos_pipelines.catalog.records import Status
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.runs.context import RunContext, TakenOver, left_alone, verdict_of
from cosmos_pipelines.runs.finish import LaunchedOrder, record_all, record_made
from cosmos_pipelines.runs.gpu_watch import GpuWatch
from cosmos_pipelines.runs.interrupt import stopped
from cosmos_pipelines.runs.stall import StallWatch, watch_every_s


def follow_to_end(context: RunContext, launched: LaunchedOrder) -> None:
    """Follow an order that has been launched until our runs of it are recorded as ended.

    No error stops it: what goes on there is found again by the next attempt.
    """
    try:
        started = [
            _note_start(context, run_id, run.status, launched.handle)
            for run_id, run in launched.mine.items()
        ]
        if not any(started):
            _stop_unwanted(context, launched)
        _follow(context, launched)
    except TakenOver:
        raise
    except Exception as e:  # noqa: BLE001 - trouble of ours is no reason to stop a model
        _leave_alone(context, launched, e)
        return
    except BaseException:
        if context.lease.held(launched.mine):  # what another process follows is not ours to stop
            _interrupted(context, launched)
        raise
    _record_ended(context, launched)


def _note_start(context: RunContext, run_id: str, status: Status, handle: Handle) -> bool:
    """Record where a run is, as far as it is known; one that was being uploaded runs now.

    False: it is not ours any more, or was cancelled in the moment of its start.
    """
    known = {"host": handle.host, **handle.marks}
    where: dict[str, Any] = {k: v for k, v in known.items() if k in FIELDS and v is not None}
    now: Status = "running" if status == "uploading" else status
    return context.catalog.advance(run_id, context.owner, status, now, **where) is not None


def _stop_unwanted(context: RunContext, launched: LaunchedOrder) -> None:
    """Stop an order all of whose runs were cancelled in the moment of its start."""
    runs = context.catalog.find_runs(launched.mine).values()
    if all(run.status == "cancelled" for run in runs):
        logger.warning("Stopping {id}: its runs were cancelled", id=launched.order.id)
        context.backend.cancel(launched.handle, context.settings.execution.grace_s)


def _follow(context: RunContext, launched: LaunchedOrder) -> None:
    order, handle = launched.order, launched.handle
    with GpuWatch(context.backend, order, watch_every_s(context)) as gpus:
        stall = StallWatch(context, launched, gpus)
        for chunk in context.backend.follow(handle, launched.log.offset):
            context.check_held(order.id, launched.mine)
            launched.log.show_wait(context.backend.waits(handle))
            launched.log.write(chunk)
            grace = context.settings.execution.grace_s
            if context.backend.running_s(handle) > order.timeout_s:
                logger.warning("Stopping {id}: over {n} s", id=order.id, n=order.timeout_s)
                context.backend.cancel(handle, grace, reason="timeout")
            elif stall.look(chunk):
                context.stalled.append(order.run_ids)
                context.backend.cancel(handle, grace, reason="stalled")
            context.peaks[order.id] = gpus.peak()
            record_made(context, launched)
    context.peaks[order.id] = gpus.peak()
    launched.log.show_wait(None)  # it may have begun and ended between two looks
    launched.log.keep_progress()


def _leave_alone(context: RunContext, launched: LaunchedOrder, error: Exception) -> None:
    """Record that an order cannot be followed; it is not stopped."""
    unexpected = None if isinstance(error, CosmosError) else error
    logger.opt(exception=unexpected).error("Order {id}: {e}", id=launched.order.id, e=error)
    for run_id in launched.mine:
        context.end(run_id, left_alone(error, run_id))


def _record_ended(context: RunContext, launched: LaunchedOrder) -> None:
    """Bring home what an order that has ended has made; after an interrupt its runs are cancelled.

    What was made is found again by the next attempt.
    """
    try:
        record_all(context, launched)
    except Exception:
        raise
    except BaseException as e:
        for run_id in launched.mine:
            context.end(run_id, verdict_of(e))
        raise


def _interrupted(context: RunContext, launched: LaunchedOrder) -> None:
    """Stop an order for the user, and bring home what it has finished."""
    if not stopped(context, launched.order.id, launched.mine, launched.handle):
        return
    try:
        _record_ended(context, launched)
    except CosmosError as e:
        logger.warning("Order {id}: {e}", id=launched.order.id, e=e)
        for run_id in launched.mine:
            context.end(run_id, verdict_of(KeyboardInterrupt()))
