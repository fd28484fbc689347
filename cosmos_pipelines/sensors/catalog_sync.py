"""The sensor `catalog_sync`: what was written to the catalog elsewhere appears on the page."""

from typing import Final

import dagster as dg

from cosmos_pipelines.assets.recheck import check_config, check_videos
from cosmos_pipelines.assets.sync import next_news, tell
from cosmos_pipelines.catalog.alone import alone
from cosmos_pipelines.foreign import as_text
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.resources.dagster_resources import CatalogResource

SLICE: Final = 25
"""Changes at once: each materialisation costs Dagster about 12 ms, in which other processes that
record something wait."""
SLICES: Final = 8
"""A tick."""


@dg.sensor(
    job=check_videos,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Scenes, prompts and runs that the command line or the API made become partitions "
    "and materialisations; those of deleted ones disappear. Videos whose step ended before it "
    "checked them are checked.",
)
def catalog_sync(
    context: dg.SensorEvaluationContext, catalog: CatalogResource
) -> dg.SensorResult | dg.SkipReason:
    """Record the catalog's next changes."""
    requests: list[dg.RunRequest] = []
    cursor, recorded = context.cursor, 0
    with catalog.open() as (store, settings):
        for _ in range(SLICES):
            with alone(store):
                news, cursor = next_news(context.instance, store, settings, cursor, SLICE)
                tell(context.instance, news)
            recorded += news.size
            for wrong in news.wrong:
                context.log.warning(as_text(f"Not shown on the page: {wrong}"))
            if news.unchecked:
                requests.append(_check(news.unchecked, cursor))
            if news.changes < SLICE:
                break
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=cursor)
    context.update_cursor(cursor)
    return dg.SkipReason(
        f"Recorded {recorded} changes." if recorded else "Nothing new in the catalog."
    )


def _check(runs: list[str], cursor: str) -> dg.RunRequest:
    """Keyed by what the tick had read: a tick that is made again asks for the same."""
    return dg.RunRequest(
        run_key=f"check.{content_hash({'runs': runs, 'cursor': cursor})[:16]}",
        run_config=check_config(runs),
        tags={"cosmos/by": "catalog_sync", "dagster/max_retries": "2"},
    )
