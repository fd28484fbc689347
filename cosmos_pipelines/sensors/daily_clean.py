"""The schedule `daily_clean`: the daemon removes what no run needs, if the settings say so.

A clean may take longer than a sensor's tick may, so that it is a job.
"""

import dagster as dg

from cosmos_pipelines.assets.steps import as_dagster_failure
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.operate.clean import clean
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_tables import seconds_of


@dg.op(description="Removes what no run has needed for as long as [clean] of cosmos.toml says.")
def remove_unneeded(context: dg.OpExecutionContext, catalog: CatalogResource) -> None:
    """Clean, and say what was removed; fail in the end if something could not be."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        cleaned = clean(store, settings, seconds_of(settings.clean.older)).as_dict()
        for row in cleaned["kinds"]:
            context.log.info("{number} {kind} {place}: {bytes:,} bytes".format_map(row))
        context.add_output_metadata({"kinds": dg.MetadataValue.json(cleaned["kinds"])})
        if cleaned["problems"]:
            raise CosmosError(" ".join(cleaned["problems"]))


@dg.job(description="Remove what no run needs any more, as `cosmos clean` does.")
def clean_up() -> None:
    """What the schedule starts, and anybody on the page."""
    remove_unneeded()


def daily_clean(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule; it runs if `daily` in [clean] says so, or somebody starts it on the page."""
    status = dg.DefaultScheduleStatus
    return dg.ScheduleDefinition(
        name="daily_clean",
        job=clean_up,
        cron_schedule="0 4 * * *",
        default_status=status.RUNNING if settings.clean.daily else status.STOPPED,
        description="Cleans at 4:00 UTC, if `daily` in [clean] of cosmos.toml is true.",
    )
