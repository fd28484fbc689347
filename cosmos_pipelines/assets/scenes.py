"""The asset `scenes`: input directories, checked, measured, with the prompts that lie in them."""

from pathlib import Path

import dagster as dg

from cosmos_pipelines.assets.metadata import Result, scene_content
from cosmos_pipelines.assets.partitions import SCENE_KEYS, SCENES
from cosmos_pipelines.assets.steps import as_dagster_failure
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.inputs import register_scene
from cosmos_pipelines.runs.scene_requests import read_request, register_request
from cosmos_pipelines.settings import Settings


@dg.asset(
    key=SCENES,
    partitions_def=SCENE_KEYS,
    group_name="inputs",
    kinds={"mp4", "ffmpeg"},
    code_version="1",
    description="A rendered scene: color and its control passes depth, segmentation, edge, vis. "
    "Materialising it checks and measures the files, encodes image sequences, and registers the "
    "prompts and runs that a scene.toml or prompt.txt beside them asks for.",
)
def scenes(context: dg.AssetExecutionContext, catalog: CatalogResource) -> Result:
    """Check one scene directory and enter it."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        directory = directory_of(store, settings, context.partition_key)
        request = read_request(directory)  # refused before anything is encoded
        scene = register_scene(store, settings, directory)
        if request is not None:
            prompts, runs = register_request(store, settings, directory, request)
            record(context.instance, store, settings, *prompts, *runs)
            context.log.info(f"{len(prompts)} prompts, {len(runs)} runs queued")
        return scene_content(scene).result(context.instance)


def directory_of(catalog: Catalog, settings: Settings, key: str) -> Path:
    """Where the scene with this key lies: below the inputs root, or where it was registered."""
    inside = settings.inputs / key
    return inside if inside.is_dir() else Path(catalog.get_scene(key).path)
