"""The sensor `catalog_sync`: what was written to the catalog elsewhere appears on the page."""

import dagster as dg

from cosmos_pipelines.assets.partitions import PARTITIONS
from cosmos_pipelines.assets.recheck import check_config, check_videos
from cosmos_pipelines.assets.sync import next_news
from cosmos_pipelines.foreign import as_text
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.resources.dagster_resources import CatalogResource

LIMIT = 200
"""Changes a tick: each materialisation costs Dagster about 12 ms."""


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
    with catalog.open() as (store, settings):
        news, cursor = next_news(context.instance, store, settings, context.cursor, LIMIT)
    for wrong in news.wrong:
        context.log.warning(as_text(f"Not shown on the page: {wrong}"))
    sets = {str(p.name): p for p in PARTITIONS.values()}
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = [
        sets[name].build_add_request(keys) for name, keys in news.added.items()
    ]
    requests += [sets[name].build_delete_request(keys) for name, keys in news.removed.items()]
    if not (requests or news.contents or news.unchecked):
        context.update_cursor(cursor)
        return dg.SkipReason("Nothing new in the catalog.")
    return dg.SensorResult(
        run_requests=[_check(news.unchecked, cursor)] if news.unchecked else [],
        dynamic_partitions_requests=requests,
        asset_events=[content.event(context.instance) for content in news.contents],
        cursor=cursor,
    )


def _check(runs: list[str], cursor: str) -> dg.RunRequest:
    """Keyed by what the tick had read: a tick that is made again asks for the same."""
    return dg.RunRequest(
        run_key=f"check.{content_hash({'runs': runs, 'cursor': cursor})[:16]}",
        run_config=check_config(runs),
        tags={"cosmos/by": "catalog_sync", "dagster/max_retries": "2"},
    )
