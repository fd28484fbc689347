"""Partition sets, asset keys, and the edges between assets whose partitions are many to one.

A partition exists for what is there or can be made: "Missing" on the page is then what a backfill
makes. Why 4K videos and better prompts have sets of their own: docs/decisions/0019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import dagster as dg
from sqlalchemy.exc import IntegrityError

from cosmos_pipelines.assets.partition_names import partition_names
from cosmos_pipelines.catalog.records import Prompt, Run, SceneRow

SCENE_KEYS: Final = dg.DynamicPartitionsDefinition(name="scenes")
PROMPT_KEYS: Final = dg.DynamicPartitionsDefinition(name="prompts")
ENHANCE_KEYS: Final = dg.DynamicPartitionsDefinition(name="prompts_to_enhance")
"""Ids of prompts that no enhancement made, and of those whose enhancement somebody asked for."""
RUN_KEYS: Final = dg.DynamicPartitionsDefinition(name="runs")
"""Ids of inference runs."""
UPSCALE_KEYS: Final = dg.DynamicPartitionsDefinition(name="videos_to_upscale")
"""Ids of inference runs with a finished video; a 4K video has the key of the run it enlarges."""
FILE_KEYS: Final = dg.DynamicPartitionsDefinition(name="files")
"""Ids of upscale runs of video files that no run of ours made."""

SCENES: Final = dg.AssetKey("scenes")
PROMPTS: Final = dg.AssetKey("prompts")
ENHANCED: Final = dg.AssetKey("enhanced_prompts")
VIDEOS: Final = dg.AssetKey("inference_videos")
UPSCALED: Final = dg.AssetKey("upscaled_videos")
FILES: Final = dg.AssetKey("upscaled_files")

PARTITIONS: Final = {
    SCENES: SCENE_KEYS,
    PROMPTS: PROMPT_KEYS,
    ENHANCED: ENHANCE_KEYS,
    VIDEOS: RUN_KEYS,
    UPSCALED: UPSCALE_KEYS,
    FILES: FILE_KEYS,
}

DATA_VERSION: Final = "dagster/data_version"
AT_ONCE: Final = 10_000
"""Most keys of one statement; SQLite accepts 32,766 values, PostgreSQL's protocol 65,535."""


def many_to_one(parent: dg.AssetKey) -> dg.AssetDep:
    """An edge to `parent` without a rule from partition to partition.

    Which partition a result came from is said exactly, by `provenance`. Dagster's host drops
    mappings of our own (issue 28790), and AllPartitionMapping makes every result stale whenever
    any parent changes.
    """
    return dg.AssetDep(parent, partition_mapping=dg.SpecificPartitionsPartitionMapping([]))


def add_keys(instance: dg.DagsterInstance, name: str, keys: Sequence[str]) -> None:
    """Add keys to a partition set; those that are there already stay as they are.

    One transaction for `AT_ONCE` keys. Dagster's SQLite looks which ones are there and then inserts
    the rest: where another process adds one of them in between, it inserts none. Each failure is
    one that another has added.
    """
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        for _ in some:
            try:
                instance.add_dynamic_partitions(name, some)
            except IntegrityError:
                continue
            break
        else:
            instance.add_dynamic_partitions(name, some)


def provenance(
    instance: dg.DagsterInstance, parents: list[tuple[dg.AssetKey, str]]
) -> dict[str, str]:
    """Tags that name the exact event and data version of each parent partition that exists."""
    tags = {}
    for key, partition in parents:
        record = latest(instance, key, partition)
        if record is None:
            continue
        name = key.to_user_string()
        tags[f"dagster/input_event_pointer/{name}"] = str(record.storage_id)
        event = record.asset_materialization
        if event and event.tags and event.tags.get(DATA_VERSION):
            tags[f"dagster/input_data_version/{name}"] = event.tags[DATA_VERSION]
    return tags


def latest(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition: str
) -> dg.EventLogRecord | None:
    """The last materialisation of a partition."""
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
    records = instance.fetch_materializations(wanted, limit=1).records
    return records[0] if records else None


def partitions_of(row: Prompt | Run | SceneRow) -> list[tuple[dg.AssetKey, str]]:
    """The partitions that exist because of this row: what it is, and what can be made of it."""
    return [(dg.AssetKey(name), partition) for name, partition in partition_names(row)]


def place_of(run: Run) -> tuple[dg.AssetKey, str]:
    """The asset and the partition in which a run's result is recorded."""
    return partitions_of(run)[0]
