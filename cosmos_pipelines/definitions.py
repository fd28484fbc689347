"""The one place where settings become resources and everything becomes Dagster's Definitions."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import dagster as dg
from loguru import logger

from cosmos_pipelines.assets.jobs import JOBS, create_runs
from cosmos_pipelines.assets.links import Links
from cosmos_pipelines.assets.metadata import described
from cosmos_pipelines.assets.prompts import enhanced_prompts, prompts
from cosmos_pipelines.assets.scenes import scenes
from cosmos_pipelines.assets.videos import inference_videos, upscaled_files, upscaled_videos
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.resources.dagster_private import fork_runs
from cosmos_pipelines.resources.dagster_resources import resources_of
from cosmos_pipelines.resources.instance import instance_directory
from cosmos_pipelines.settings import Settings, load_settings

# Features in beta that we use knowingly; the version is pinned.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

PRELOAD: Final = (
    "dagster._grpc.impl",
    "dagster._core.run_coordinator",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.runs",
    "dagster._core.storage.schedules",
    "cosmos_pipelines.definitions",
    "cosmos_pipelines.backends.local",
    "cosmos_pipelines.catalog.migrate",
    "cosmos_pipelines.engines.preview",
    "cosmos_pipelines.media.defects",
    "cosmos_pipelines.media.pictures",
    "cosmos_pipelines.media.provenance",
    "cosmos_pipelines.media.renewal",
    "cosmos_pipelines.resources.run_launcher",
    "cosmos_pipelines.sensors.catalog_sync",
    "cosmos_pipelines.sensors.daily_clean",
    "cosmos_pipelines.sensors.dispatch_queue",
    "cosmos_pipelines.sensors.lost_runs",
    "cosmos_pipelines.sensors.new_scenes",
    "cosmos_pipelines.sensors.notices",
    "cosmos_pipelines.sensors.up_to_date",
    "upath.core",
)
"""What a run's process needs, besides modules that these import."""


def build_definitions(
    settings: Settings, recipes: Iterable[str] | None = None, *, daemon: bool = True
) -> dg.Definitions:
    """Everything that Dagster shall know of the project with these settings.

    `recipes`: the names that the form of a sweep offers; None: it takes any text. `daemon`: also
    what only the daemon starts: sensors and schedules, with their modules.
    """
    owners, links = [settings.owner], Links.of(settings)
    assets = [
        scenes,
        prompts,
        enhanced_prompts(),
        inference_videos,
        upscaled_videos(),
        upscaled_files,
    ]
    made = dg.Definitions(
        assets=dg.map_asset_specs(
            lambda spec: spec.replace_attributes(
                owners=owners, description=described(links, spec.key, spec.description or "")
            ),
            assets,
        ),
        jobs=[*JOBS, create_runs(recipes)],
        resources=resources_of(settings),
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(made, _of_daemon(settings)) if daemon else made


def _of_daemon(settings: Settings) -> dg.Definitions:
    from cosmos_pipelines.sensors.catalog_sync import catalog_sync
    from cosmos_pipelines.sensors.daily_clean import clean_up, daily_clean
    from cosmos_pipelines.sensors.dispatch_queue import dispatch_queue
    from cosmos_pipelines.sensors.lost_runs import lost_runs
    from cosmos_pipelines.sensors.new_scenes import new_scenes
    from cosmos_pipelines.sensors.notices import notices
    from cosmos_pipelines.sensors.up_to_date import up_to_date

    return dg.Definitions(
        jobs=[clean_up],
        schedules=[daily_clean(settings)],
        sensors=[new_scenes, dispatch_queue, lost_runs, catalog_sync, up_to_date, notices],
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` and `dg` load: the project of COSMOS_HOME, or of this directory."""
    settings = load_settings()
    _require_instance(settings)
    fork_runs(PRELOAD)
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
