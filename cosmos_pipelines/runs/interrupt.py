"""Stop an order after the user's interrupt, and say whether that is known to have worked."""

from __future__ import annotations

from collections.abc import Iterable

from loguru import logger

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.errors import BackendError, StateError
from cosmos_pipelines.runs.context import RunContext, left_alone


def stopped(
    context: RunContext, order_id: str, run_ids: Iterable[str], handle: Handle | None = None
) -> bool:
    """Stop an order after an interrupt; return whether it is known that nothing of it runs.

    If that is not known, its runs say so.
    """
    try:
        try:
            logger.warning("Stopping {id}. Ctrl-C once more kills it.", id=order_id)
            _stop(context, order_id, handle, context.settings.execution.grace_s)
        except Exception:
            raise
        except BaseException:  # noqa: BLE001 - asked again; `Backend.cancel` may have killed it
            _stop(context, order_id, handle, 0)
    except BaseException as e:  # noqa: BLE001 - the caller raises the interrupt
        logger.warning("{id} may still run: {why}", id=order_id, why=str(e) or "interrupted again")
        for run_id in run_ids:
            verdict = left_alone(KeyboardInterrupt(), run_id)
            logger.warning("{m}", m=verdict.message)
            context.end(run_id, verdict, examine=False)
        return False
    logger.warning("Nothing of {id} runs any more.", id=order_id)
    return True


def _stop(context: RunContext, order_id: str, handle: Handle | None, grace_s: float) -> None:
    handle = handle or _find_interrupted(context, order_id)
    if handle is not None:
        context.backend.cancel(handle, grace_s, reason="cancelled")


def _find_interrupted(context: RunContext, order_id: str) -> Handle | None:
    """Find an order whose launch was interrupted: its start may be under way."""
    if handle := context.backend.find(order_id):
        return handle
    try:
        context.backend.discard(order_id)  # waits for a start that is under way
    except (BackendError, StateError) as e:
        logger.debug("{id} has begun after all: {why}", id=order_id, why=e)
    return context.backend.find(order_id)
