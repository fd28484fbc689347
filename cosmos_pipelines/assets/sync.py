"""The catalog's rows become partitions and materialisations, each once.

Whatever the command line, the Python API or another machine wrote: the page shows it. What Dagster
recorded itself is recognised by its data version and not recorded again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import dagster as dg

from cosmos_pipelines.assets.partitions import (
    DATA_VERSION,
    FILE_KEYS,
    PARTITIONS,
    PROMPT_KEYS,
    RUN_KEYS,
    SCENE_KEYS,
    latest,
    place_of,
)
from cosmos_pipelines.assets.shown import Shown, show_prompt, show_run, show_scene
from cosmos_pipelines.catalog.records import Change, Prompt, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.settings import Settings

Row = Prompt | Run | SceneRow

_SETS_OF = {"prompt": (PROMPT_KEYS,), "run": (RUN_KEYS, FILE_KEYS), "scene": (SCENE_KEYS,)}


@dataclass
class News:
    """What Dagster does not know yet."""

    added: dict[str, list[str]] = field(default_factory=dict)
    """By partition set: new keys."""
    removed: dict[str, list[str]] = field(default_factory=dict)
    shown: list[Shown] = field(default_factory=list)


def news_of(
    instance: dg.DagsterInstance,
    catalog: Catalog,
    settings: Settings,
    changes: Iterable[Change],
) -> News:
    """What these changes of the catalog mean for Dagster."""
    news = News()
    for change in changes:
        if change.row is None:
            for keys in _SETS_OF[change.kind]:
                if instance.has_dynamic_partition(str(keys.name), change.id):
                    news.removed.setdefault(str(keys.name), []).append(change.id)
            continue
        _note(news, instance, catalog, settings, change.row)
    return news


def sync_catalog(
    instance: dg.DagsterInstance,
    catalog: Catalog,
    settings: Settings,
    cursor: str | None = None,
    limit: int = 500,
) -> str:
    """Bring Dagster up to date with at most `limit` changes; returns the next cursor."""
    changes, cursor = catalog.changes_since(cursor, limit)
    news = news_of(instance, catalog, settings, changes)
    for name, keys in news.added.items():
        instance.add_dynamic_partitions(name, keys)
    for shown in news.shown:
        instance.report_runless_asset_event(shown.event(instance))
    for name, keys in news.removed.items():
        for key in keys:
            instance.delete_dynamic_partition(name, key)
    return cursor


def record(instance: dg.DagsterInstance, catalog: Catalog, settings: Settings, row: Row) -> None:
    """Make sure that Dagster knows this row, and the rows that it came from."""
    for parent in _parents(catalog, row):
        record(instance, catalog, settings, parent)
    news = News()
    _note(news, instance, catalog, settings, row)
    for name, keys in news.added.items():
        instance.add_dynamic_partitions(name, keys)
    for shown in news.shown:
        instance.report_runless_asset_event(shown.event(instance))


def _parents(catalog: Catalog, row: Row) -> list[Row]:
    if isinstance(row, Prompt):
        # a scene may have been registered elsewhere or removed since; its prompts stay
        return [scene for scene in catalog.list_scenes() if scene.key == row.scene]
    if isinstance(row, Run):
        if row.parent_run_id:
            return [catalog.get_run(row.parent_run_id)]
        return [catalog.get_prompt(row.prompt_id)] if row.prompt_id else []
    return []


def _note(
    news: News, instance: dg.DagsterInstance, catalog: Catalog, settings: Settings, row: Row
) -> None:
    if isinstance(row, Run):
        asset, partition = place_of(row)
        if row.model_type != "enhance":  # those are recorded under their prompt's key
            _key(news, instance, asset, partition)
        if row.status != "completed":
            return
        shown = show_run(catalog, settings, row)
    else:
        shown = show_prompt(row) if isinstance(row, Prompt) else show_scene(row)
        _key(news, instance, shown.asset, shown.partition)
    if not _known(instance, shown):
        news.shown.append(shown)


def _key(news: News, instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str) -> None:
    name = str(PARTITIONS[asset].name)
    waiting = news.added.get(name, [])
    if partition not in waiting and not instance.has_dynamic_partition(name, partition):
        news.added.setdefault(name, []).append(partition)


def _known(instance: dg.DagsterInstance, shown: Shown) -> bool:
    """Whether the last materialisation of the partition is of this very content."""
    event = latest(instance, shown.asset, shown.partition)
    found = event and event.asset_materialization
    return bool(found and found.tags and found.tags.get(DATA_VERSION) == shown.version)
