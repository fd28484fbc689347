"""The one place where settings become resources and everything becomes Dagster's Definitions."""

from __future__ import annotations

import warnings

import dagster as dg

from cosmos_pipelines.assets.jobs import JOBS
from cosmos_pipelines.assets.prompts import enhanced_prompts, prompts
from cosmos_pipelines.assets.scenes import scenes
from cosmos_pipelines.assets.videos import inference_videos, upscaled_files, upscaled_videos
from cosmos_pipelines.resources.dagster_resources import resources_of
from cosmos_pipelines.sensors.catalog_sync import catalog_sync
from cosmos_pipelines.sensors.daily_clean import clean_up, daily_clean
from cosmos_pipelines.sensors.dispatch_queue import dispatch_queue
from cosmos_pipelines.sensors.lost_runs import lost_runs
from cosmos_pipelines.sensors.new_scenes import new_scenes
from cosmos_pipelines.sensors.up_to_date import up_to_date
from cosmos_pipelines.settings import Settings, load_settings

# Features in beta that we use knowingly; the version is pinned.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

ASSETS = [
    scenes,
    prompts,
    enhanced_prompts,
    inference_videos,
    upscaled_videos,
    upscaled_files,
]
SENSORS = [new_scenes, dispatch_queue, lost_runs, catalog_sync, up_to_date]


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster shall know of the project with these settings."""
    owners = [settings.owner]
    return dg.Definitions(
        assets=dg.map_asset_specs(lambda spec: spec.replace_attributes(owners=owners), ASSETS),
        jobs=[*JOBS, clean_up],
        schedules=[daily_clean(settings)],
        sensors=SENSORS,
        resources=resources_of(settings),
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` and `dg` load: the project of COSMOS_HOME, or of this directory."""
    return build_definitions(load_settings())
