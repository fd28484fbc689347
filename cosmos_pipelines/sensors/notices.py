"""The sensor `notices`: people are told of what has happened, and the budget is kept."""

import os

import dagster as dg

from cosmos_pipelines.foreign import as_text
from cosmos_pipelines.notify.addresses import addresses_of
from cosmos_pipelines.notify.events import look
from cosmos_pipelines.notify.tell import tell
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.budget import keep_budget


@dg.sensor(
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends one message about what has happened (failed runs, an empty queue, a host "
    "that is away, a disk that is nearly full, a budget that is used up) to the addresses of "
    "[notify] in cosmos.toml, and pauses the queue when the budget of [budget] is used up.",
)
def notices(context: dg.SensorEvaluationContext, catalog: CatalogResource) -> dg.SkipReason:
    """Look at what has happened; tell it if it is time."""
    with catalog.open() as (store, settings):
        reached = keep_budget(store, settings)
        addresses = addresses_of(settings, os.environ)
        if not addresses:
            return dg.SkipReason(reached or "Nobody is told of anything: [notify] has no address.")
        context.update_cursor(look(store, settings, context.cursor))
        message = tell(store, settings, addresses)
    if message is None:
        return dg.SkipReason(reached or "There is nothing new to tell.")
    for one in message.deliveries:
        if one.problem is not None:
            context.log.warning(as_text(f"{one.address} was not told: {one.problem}"))
    number = sum(one.problem is None for one in message.deliveries)
    return dg.SkipReason(as_text(f"Told {number} of {len(message.deliveries)}: {message.title}"))
