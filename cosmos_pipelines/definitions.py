"""The one place where settings become resources and everything becomes Dagster's Definitions."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
from loguru import logger

from cosmos_pipelines.assets.jobs import JOBS, create_runs
from cosmos_pipelines.assets.prompts import enhanced_prompts, prompts
from cosmos_pipelines.assets.scenes import scenes
from cosmos_pipelines.assets.videos import inference_videos, upscaled_files, upscaled_videos
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.resources.dagster_resources import resources_of
from cosmos_pipelines.resources.instance import instance_directory
from cosmos_pipelines.sensors.catalog_sync import catalog_sync
from cosmos_pipelines.sensors.dispatch_queue import dispatch_queue
from cosmos_pipelines.sensors.lost_runs import lost_runs
from cosmos_pipelines.sensors.new_scenes import new_scenes
from cosmos_pipelines.sensors.up_to_date import up_to_date
from cosmos_pipelines.settings import Settings, load_settings

# Features in beta that we use knowingly; the version is pinned.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

SENSORS = [new_scenes, dispatch_queue, lost_runs, catalog_sync, up_to_date]


def build_definitions(settings: Settings, recipes: Iterable[str] | None = None) -> dg.Definitions:
    """Everything that Dagster shall know of the project with these settings.

    `recipes`: the names that the form of a sweep offers; None: it takes any text.
    """
    owners = [settings.owner]
    assets = [
        scenes,
        prompts,
        enhanced_prompts(),
        inference_videos,
        upscaled_videos(),
        upscaled_files,
    ]
    return dg.Definitions(
        assets=dg.map_asset_specs(lambda spec: spec.replace_attributes(owners=owners), assets),
        jobs=[*JOBS, create_runs(recipes)],
        sensors=SENSORS,
        resources=resources_of(settings),
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` and `dg` load: the project of COSMOS_HOME, or of this directory."""
    settings = load_settings()
    _require_instance(settings)
    return build_definitions(settings, recipe_names(settings))


def _require_instance(settings: Settings) -> None:
    """End a command that would execute something in an instance that Dagster removes afterwards.

    Without DAGSTER_HOME, `dagster asset materialize`, `dagster job execute` and `dg launch` make
    one for themselves: it knows no partition, and what it records is lost. `dagster dev` is left
    alone: its page shows what the catalog has.
    """
    program, words = Path(sys.argv[0]), set(sys.argv[1:])
    dagsters = program.stem in ("dagster", "dg") or program.parent.name == "dagster"
    executing = dagsters and words & {"materialize", "execute", "launch"}
    if executing and not os.environ.get("DAGSTER_HOME"):
        directory = shlex.quote(str(instance_directory(settings)))
        sys.exit(
            "Error: DAGSTER_HOME is not set, so that Dagster would not use the records of this "
            f"project. Set it: export DAGSTER_HOME={directory}"
        )


def recipe_names(settings: Settings) -> list[str] | None:
    """The recipes for a sweep, sorted; None: the catalog cannot be read now."""
    try:
        with Catalog.open(settings.catalog_url, settings.home) as catalog:
            return [r.name for r in catalog.list_recipes() if r.model_type == "transfer"]
    except CosmosError as e:
        logger.warning("Recipes cannot be chosen in the form of a sweep: {}", e)
        return None
