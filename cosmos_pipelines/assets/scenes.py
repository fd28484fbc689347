"""The asset `scenes`: input directories, checked, measured, with the prompts that lie in them."""

import warnings
from pathlib import Path
from typing import Final

import dagster as dg

from cosmos_pipelines.assets.metadata import Result, scene_content
from cosmos_pipelines.assets.partitions import SCENE_KEYS, SCENES
from cosmos_pipelines.assets.steps import as_dagster_failure
from cosmos_pipelines.assets.sync import add_partitions
from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.inputs import register_scene
from cosmos_pipelines.runs.locations import is_there, located, scene_place
from cosmos_pipelines.runs.scene_requests import read_request_of, register_request
from cosmos_pipelines.runs.scenes import shared_source
from cosmos_pipelines.settings import Settings

THERE: Final = "there"


def _check_specs() -> list[dg.AssetCheckSpec]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # partitions_def of a check is a preview feature
        said = "Its directory is there: it has not been deleted since it was registered."
        return [dg.AssetCheckSpec(THERE, asset=SCENES, description=said, partitions_def=SCENE_KEYS)]


@dg.asset(
    key=SCENES,
    partitions_def=SCENE_KEYS,
    check_specs=_check_specs(),
    group_name="inputs",
    kinds={"mp4", "ffmpeg"},
    code_version="1",
    description="A rendered scene: color and its control passes depth, segmentation, edge, vis. "
    "Materialising it checks and measures the files, encodes image sequences, and registers the "
    "prompts and runs that a scene.toml or prompt.txt beside them asks for. The first scene: put a "
    "directory of renders into the project's inputs, or run `cosmos demo`.",
)
def scenes(context: dg.AssetExecutionContext, catalog: CatalogResource) -> Result:
    """Check one scene directory and enter it."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        directory = directory_of(store, settings, context.partition_key)
        source = shared_source(settings, directory)
        request = read_request_of(directory, source)  # refused before anything is encoded
        scene = register_scene(store, settings, directory)
        if request is not None:
            prompts, runs = register_request(store, settings, directory, request, source)
            add_partitions(context.instance, [*prompts, *runs])
            context.log.info(f"{len(prompts)} prompts, {len(runs)} runs queued")
        check = dg.AssetCheckResult(check_name=THERE, passed=True)
        return scene_content(settings, scene).result(context.instance, [check])


def whether_there(settings: Settings, scene: SceneRow) -> dg.AssetCheckEvaluation:
    """Whether the directory of a scene is there, for the page."""
    gone = not is_there(settings, scene)
    return dg.AssetCheckEvaluation(
        asset_key=SCENES,
        check_name=THERE,
        passed=not gone,
        metadata={"reason": f"The scene is gone: there is no {located(settings, scene.path)}."}
        if gone
        else {},
        severity=dg.AssetCheckSeverity.WARN,
        partition=scene.key,
    )


def directory_of(catalog: Catalog, settings: Settings, key: str) -> Path:
    """Where the scene with this key lies, or will: below the inputs root, or where it was entered.

    Raises:
        InputError: there is none, as where a key (which may have been typed) leads elsewhere.
    """
    inside = settings.inputs / key
    below = ".." not in inside.parts and inside.is_relative_to(settings.inputs)
    if below and (inside.is_dir() or shared_source(settings, inside) is not None):
        return inside
    return scene_place(settings, catalog.get_scene(key))
