"""The catalog's rows become partitions and materialisations, each once.

Whatever the command line, the Python API or another machine wrote: the page shows it. What Dagster
recorded itself is recognised by its data version and not recorded again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import dagster as dg
from loguru import logger

from cosmos_pipelines.assets.metadata import (
    PartitionContent,
    prompt_content,
    run_content,
    scene_content,
)
from cosmos_pipelines.assets.partitions import (
    DATA_VERSION,
    ENHANCE_KEYS,
    FILE_KEYS,
    PARTITIONS,
    PROMPT_KEYS,
    RUN_KEYS,
    SCENE_KEYS,
    UPSCALE_KEYS,
    add_keys,
    latest,
    partitions_of,
)
from cosmos_pipelines.assets.video_checks import checked
from cosmos_pipelines.catalog.alone import alone
from cosmos_pipelines.catalog.records import Change, Prompt, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.resources.dagster_statuses import DAGSTER_OPEN
from cosmos_pipelines.settings import Settings

Row = Prompt | Run | SceneRow

_SETS_OF: Final = {
    "prompt": (PROMPT_KEYS, ENHANCE_KEYS),
    "run": (RUN_KEYS, UPSCALE_KEYS, FILE_KEYS),
    "scene": (SCENE_KEYS,),
}
_SETS: Final = 1
"""Raised when there is another partition set, which is then filled from the whole catalog once."""


@dataclass(frozen=True)
class Cursor:
    """Up to where the catalog was read, and runs to come back to."""

    at: str | None = None
    later: tuple[str, ...] = ()
    """Completed runs whose Dagster runs have not ended: those record them, with their checks."""
    sets: int = _SETS
    """The partition sets that are filled; 0: those of a version without what can be made."""
    scenes: tuple[str, ...] = ()
    """Keys of scenes that a Dagster run is registering: that records them."""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The cursor that `str()` wrote; None is the beginning."""
        values: dict[str, Any] = json.loads(text) if text else {"sets": _SETS}
        later, scenes = values.get("later", ()), values.get("scenes", ())
        return cls(values.get("at"), tuple(later), values.get("sets", 0), tuple(scenes))

    def __str__(self) -> str:
        return json.dumps(
            {"at": self.at, "later": self.later, "sets": _SETS, "scenes": self.scenes}
        )


@dataclass
class News:
    """What Dagster does not know yet."""

    changes: int = 0
    """Changes of the catalog that were read."""
    keys: dict[str, list[str]] = field(default_factory=dict)
    """By partition set: the keys of all rows, also those that Dagster knows."""
    removed: dict[str, list[str]] = field(default_factory=dict)
    contents: list[PartitionContent] = field(default_factory=list)
    opinions: list[dg.AssetObservation] = field(default_factory=list)
    """Ratings and tags that are others than Dagster knows."""
    later: list[str] = field(default_factory=list)
    """Runs to come back to."""
    scenes: list[str] = field(default_factory=list)
    """Scenes to come back to."""
    unchecked: list[str] = field(default_factory=list)
    """Completed runs whose videos nobody has checked: their Dagster run ended before it did."""
    wrong: list[str] = field(default_factory=list)
    """Rows that cannot be shown, each with the reason."""

    @property
    def size(self) -> int:
        """How many changes it is: of the catalog, or of what was come back to."""
        return max(self.changes, len(self.contents) + len(self.opinions))


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
    if last.sets != _SETS:
        _note_what_can_be_made(news, instance, catalog)
    waited: list[Row] = [*catalog.find_runs(last.later).values()]
    waited += catalog.find_scenes(last.scenes).values()
    noted = {_id(row) for row in changed}
    _note_all(news, instance, catalog, settings, changed)
    _note_all(news, instance, catalog, settings, [r for r in waited if _id(r) not in noted])
    for change in changes:
        if change.row is None:
            _note_gone(news, instance, change)
    later, scenes = (tuple(dict.fromkeys(names)) for names in (news.later, news.scenes))
    news.changes = len(changes)
    return news, str(Cursor(at, later, scenes=scenes))


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
    for wrong in news.wrong:
        logger.warning("Not shown on the page: {}", wrong)


def add_partitions(instance: dg.DagsterInstance, rows: Iterable[Row]) -> None:
    """Make sure that the partitions exist that these rows have, or have by now (a finished video).

    One transaction for each partition set, of however many rows. `catalog_sync` brings the rest.
    """
    news = News()
    for row in rows:
        _note_keys(news, row)
    tell(instance, news)


def tell(instance: dg.DagsterInstance, news: News) -> None:
    """Record in Dagster what it does not know yet; inside `alone`, as it was found there."""
    for name, keys in news.keys.items():
        add_keys(instance, name, [*dict.fromkeys(keys)])
    for name, keys in news.removed.items():
        for key in keys:
            instance.delete_dynamic_partition(name, key)
    for content in news.contents:
        instance.report_runless_asset_event(content.event(instance))
    for opinion in news.opinions:
        instance.report_runless_asset_event(opinion)


def _note_what_can_be_made(news: News, instance: dg.DagsterInstance, catalog: Catalog) -> None:
    """Fill the sets that a project of an earlier version lacks; its own keys stay as they are."""
    for keys, wanted in (
        (UPSCALE_KEYS, catalog.ids_with_video()),
        (ENHANCE_KEYS, catalog.ids_to_enhance()),
    ):
        name = str(keys.name)
        known = {*instance.get_dynamic_partitions(name)}
        if missing := [key for key in wanted if key not in known]:
            news.keys[name] = missing


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
        _note_keys(news, row)
        if isinstance(row, Run) and row.status != "completed":
            continue
        if isinstance(row, Run) and _in_work(instance, row.dagster_run_id):
            news.later.append(row.id)
            continue
        try:
            content = _content(settings, row, prompts)
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as e:
            # of another version or program; the others are shown
            news.wrong.append(f"{_id(row)}: {e!r}")
            continue
        if not _known(instance, content):
            if isinstance(row, SceneRow) and _being_registered(instance, row):
                news.scenes.append(row.key)
            else:
                news.contents.append(content)
        elif opinion := content.opinion_event(instance):
            news.opinions.append(opinion)
        if isinstance(row, Run) and row.model_type != "enhance" and not checked(instance, row):
            news.unchecked.append(row.id)


def _content(settings: Settings, row: Row, prompts: Mapping[str, Prompt]) -> PartitionContent:
    if isinstance(row, Run):
        return run_content(settings, row, prompts.get(row.prompt_id or ""))
    if isinstance(row, Prompt):
        return prompt_content(settings, row)
    return scene_content(settings, row)


def _note_keys(news: News, row: Row) -> None:
    for asset, partition in partitions_of(row):
        news.keys.setdefault(str(PARTITIONS[asset].name), []).append(partition)


def _id(row: Row) -> str:
    return row.key if isinstance(row, SceneRow) else row.id


def _being_registered(instance: dg.DagsterInstance, scene: SceneRow) -> bool:
    """Whether a Dagster run of this scene's partition has not ended."""
    tags = {"dagster/partition": scene.key}
    return bool(instance.get_runs(dg.RunsFilter(tags=tags, statuses=DAGSTER_OPEN), limit=1))


def _in_work(instance: dg.DagsterInstance, dagster_run_id: str | None) -> bool:
    """Whether this Dagster run has not ended."""
    dagster_run = instance.get_run_by_id(dagster_run_id) if dagster_run_id else None
    return dagster_run is not None and not dagster_run.is_finished


def _known(instance: dg.DagsterInstance, content: PartitionContent) -> bool:
    """Whether the last materialisation of the partition is of this very content."""
    event = latest(instance, content.asset, content.partition)
    found = event and event.asset_materialization
    return bool(found and found.tags and found.tags.get(DATA_VERSION) == content.version)
