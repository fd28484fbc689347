"""The catalog's rows become partitions and materialisations, each once.

Whatever the command line, the Python API or another machine wrote: the page shows it. What Dagster
recorded itself is recognised by its data version and not recorded again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import dagster as dg

from cosmos_pipelines.assets.metadata import (
    PartitionContent,
    prompt_content,
    run_content,
    scene_content,
)
from cosmos_pipelines.assets.partitions import (
    DATA_VERSION,
    FILE_KEYS,
    PARTITIONS,
    PROMPT_KEYS,
    RUN_KEYS,
    SCENE_KEYS,
    add_keys,
    latest,
    place_of,
)
from cosmos_pipelines.catalog.alone import alone
from cosmos_pipelines.catalog.records import Change, Prompt, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.settings import Settings

Row = Prompt | Run | SceneRow

_SETS_OF = {"prompt": (PROMPT_KEYS,), "run": (RUN_KEYS, FILE_KEYS), "scene": (SCENE_KEYS,)}


@dataclass(frozen=True)
class Cursor:
    """Up to where the catalog was read, and runs to come back to."""

    at: str | None = None
    later: tuple[str, ...] = ()
    """Completed runs whose Dagster runs have not ended: those record them, with their checks."""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The cursor that `str()` wrote; None is the beginning."""
        values = json.loads(text) if text else {}
        return cls(values.get("at"), tuple(values.get("later", ())))

    def __str__(self) -> str:
        return json.dumps({"at": self.at, "later": self.later})


@dataclass
class News:
    """What Dagster does not know yet."""

    added: dict[str, list[str]] = field(default_factory=dict)
    """By partition set: new keys."""
    removed: dict[str, list[str]] = field(default_factory=dict)
    contents: list[PartitionContent] = field(default_factory=list)
    later: list[str] = field(default_factory=list)


def next_news(
    instance: dg.DagsterInstance,
    catalog: Catalog,
    settings: Settings,
    cursor: str | None,
    limit: int,
) -> tuple[News, str]:
    """What at most `limit` changes after `cursor` mean for Dagster, and the next cursor."""
    last = Cursor.parse(cursor)
    changes, at = catalog.changes_since(last.at, limit)
    news = News()
    changed = [change.row for change in changes if change.row is not None]
    waited = catalog.find_runs(last.later).values()
    _note_all(news, instance, catalog, settings, changed)
    _note_all(news, instance, catalog, settings, [r for r in waited if r.id not in news.later])
    for change in changes:
        if change.row is None:
            _note_gone(news, instance, change)
    return news, str(Cursor(at, tuple(dict.fromkeys(news.later))))


def _note_gone(news: News, instance: dg.DagsterInstance, change: Change) -> None:
    for keys in _SETS_OF[change.kind]:
        if instance.has_dynamic_partition(str(keys.name), change.id):
            news.removed.setdefault(str(keys.name), []).append(change.id)


def record(instance: dg.DagsterInstance, catalog: Catalog, settings: Settings, *rows: Row) -> None:
    """Make sure that Dagster knows these rows, and the rows that they came from, each once."""
    with alone(catalog):
        news = News()
        _note_all(news, instance, catalog, settings, _with_origins(catalog, rows))
        tell(instance, news)


def tell(instance: dg.DagsterInstance, news: News) -> None:
    """Record in Dagster what it does not know yet; inside `alone`, as it was found there."""
    for name, keys in news.added.items():
        add_keys(instance, name, keys)
    for content in news.contents:
        instance.report_runless_asset_event(content.event(instance))


def _with_origins(catalog: Catalog, rows: Sequence[Row]) -> list[Row]:
    """The rows and those that they came from, each once: scenes, prompts, parent runs, runs."""
    scenes = {row.key: row for row in rows if isinstance(row, SceneRow)}
    prompts = {row.id: row for row in rows if isinstance(row, Prompt)}
    runs = {row.id: row for row in rows if isinstance(row, Run)}
    while missing := {r.parent_run_id for r in runs.values() if r.parent_run_id} - runs.keys():
        runs = catalog.find_runs(missing) | runs
    roots = {r.prompt_id for r in runs.values() if r.prompt_id and not r.parent_run_id}
    prompts |= catalog.find_prompts(roots - prompts.keys())
    # a scene may have been registered elsewhere or removed since; its prompts stay
    scenes |= catalog.find_scenes({prompt.scene for prompt in prompts.values()} - scenes.keys())
    return [*scenes.values(), *prompts.values(), *runs.values()]


def _note_all(
    news: News,
    instance: dg.DagsterInstance,
    catalog: Catalog,
    settings: Settings,
    rows: Sequence[Row],
) -> None:
    completed = [row for row in rows if isinstance(row, Run) and row.status == "completed"]
    prompts = catalog.find_prompts(run.prompt_id for run in completed if run.prompt_id)
    for row in rows:
        if isinstance(row, Run):
            _note_run(news, instance, settings, row, prompts.get(row.prompt_id or ""))
            continue
        content = prompt_content(row) if isinstance(row, Prompt) else scene_content(settings, row)
        _key(news, instance, content.asset, content.partition)
        _note_shown(news, instance, content)


def _note_run(
    news: News, instance: dg.DagsterInstance, settings: Settings, run: Run, prompt: Prompt | None
) -> None:
    if run.model_type != "enhance":  # those are recorded under their prompt's key
        _key(news, instance, *place_of(run))
    if run.status != "completed":
        return
    if _in_work(instance, run.dagster_run_id):
        news.later.append(run.id)
        return
    _note_shown(news, instance, run_content(settings, run, prompt))


def _note_shown(news: News, instance: dg.DagsterInstance, content: PartitionContent) -> None:
    if not _known(instance, content):
        news.contents.append(content)


def _key(news: News, instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str) -> None:
    name = str(PARTITIONS[asset].name)
    waiting = news.added.get(name, [])
    if partition not in waiting and not instance.has_dynamic_partition(name, partition):
        news.added.setdefault(name, []).append(partition)


def _in_work(instance: dg.DagsterInstance, dagster_run_id: str | None) -> bool:
    """Whether this Dagster run has not ended."""
    dagster_run = instance.get_run_by_id(dagster_run_id) if dagster_run_id else None
    return dagster_run is not None and not dagster_run.is_finished


def _known(instance: dg.DagsterInstance, content: PartitionContent) -> bool:
    """Whether the last materialisation of the partition is of this very content."""
    event = latest(instance, content.asset, content.partition)
    found = event and event.asset_materialization
    return bool(found and found.tags and found.tags.get(DATA_VERSION) == content.version)
