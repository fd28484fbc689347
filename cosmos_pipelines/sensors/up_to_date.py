"""The sensor `up_to_date`: what videos are made of is compared with what is there, as it changes.

A step says whether its video is up to date when it has made it. What happens later (a scene is
rendered again, deleted or put back, an engine is replaced) is seen here, and the check of the
videos that it concerns is recorded again. A tick in which nothing changed asks the catalog once,
and whether each scene's directory exists.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Self

import dagster as dg

from cosmos_pipelines.assets.recheck import check_up_to_date, recheck_config
from cosmos_pipelines.catalog.records import Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.locations import located, scene_place
from cosmos_pipelines.runs.outdated import Now, made_by
from cosmos_pipelines.runs.scenes import content_now
from cosmos_pipelines.settings import Settings

A_TICK = 200
"""Videos whose checks a tick asks for at most: each costs Dagster about 12 ms."""
CHANGES = 500
"""Changes of the catalog that a tick reads at most."""


@dataclass
class Seen:
    """What is remembered between ticks."""

    at: str | None = None
    """Up to where the catalog was read."""
    engines: str = ""
    gone: list[str] = field(default_factory=list)
    """Scenes whose directories are not there."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """What no other sensor looks at: content of scenes outside of the inputs root, by their keys,
    and size and time of video files that upscales were made of, by their paths."""
    outdated: dict[str, str] = field(default_factory=dict)
    """By run: why its video is out of date, as a hash."""
    later: list[str] = field(default_factory=list)
    """Runs for which a tick had no time."""
    asked: int = 0
    """Dagster runs asked for; what changes back and forth is asked for each time."""

    @classmethod
    def parse(cls, cursor: str | None) -> Self:
        """The cursor that `str()` wrote; None is the beginning."""
        return cls(**json.loads(cursor)) if cursor else cls()

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dg.sensor(
    job=check_up_to_date,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Has it said of videos, when something changes, whether what they were made of is "
    "still what is there: their check up_to_date; and of scenes whether they are there.",
)
def up_to_date(
    context: dg.SensorEvaluationContext, catalog: CatalogResource
) -> dg.SensorResult | dg.SkipReason:
    """Look at what changed since the last tick, and at the videos that were made of it."""
    seen = Seen.parse(context.cursor)
    with catalog.open() as (store, settings):
        scenes = {scene.key: scene for scene in store.list_scenes()}
        was_gone = {*seen.gone}
        concerned = _concerned(store, settings, scenes, seen)
        flipped = sorted(key for key in was_gone.symmetric_difference(seen.gone) if key in scenes)
        runs = _changed(Now(store, settings), concerned, seen)
    seen.asked += bool(runs or flipped)
    cursor = str(seen)
    if not (runs or flipped):
        if cursor != context.cursor:
            context.update_cursor(cursor)
        return dg.SkipReason(f"{len(seen.outdated)} videos are out of date; nothing changed.")
    request = dg.RunRequest(
        run_key=f"recheck.{content_hash({'seen': cursor})[:16]}",
        run_config=recheck_config(runs, flipped),
        tags={"cosmos/by": "up_to_date"},
    )
    return dg.SensorResult(run_requests=[request], cursor=cursor)


def _changed(now: Now, runs: list[Run], seen: Seen) -> list[str]:
    """Ids of those whose check is another now; what is too much for one tick comes later."""
    now.know(runs)
    found: list[str] = []
    for run in runs:
        if len(found) >= A_TICK:
            seen.later.append(run.id)
            continue
        reasons = now.reasons(run)
        state = content_hash({"r": [r.as_dict() for r in reasons]})[:12] if reasons else None
        if seen.outdated.get(run.id) == state:
            continue
        seen.outdated.pop(run.id, None)
        if state is not None:
            seen.outdated[run.id] = state
        found.append(run.id)
    return found


def _concerned(
    catalog: Catalog, settings: Settings, scenes: dict[str, SceneRow], seen: Seen
) -> list[Run]:
    """Runs with a video whose check may be another now; `seen` is brought up to date."""
    changes, seen.at = catalog.changes_since(seen.at, CHANGES)
    keys = {change.id for change in changes if change.kind == "scene"}
    ids = {change.id for change in changes if change.kind == "run"} | {*seen.later}
    files = seen.elsewhere.keys() - scenes.keys()
    if ids:
        upscales = catalog.list_runs("completed", model_type="upscale", limit=None)
        files = {file for run in upscales if (file := _file(run))}
    gone = {key for key, scene in scenes.items() if not scene_place(settings, scene).is_dir()}
    elsewhere = {key: _content(settings, scenes[key]) for key in scenes if "@" in key} | {
        file: _stamp(settings, file) for file in files
    }
    others = {
        k for k in elsewhere.keys() | seen.elsewhere if elsewhere.get(k) != seen.elsewhere.get(k)
    }
    keys |= gone.symmetric_difference(seen.gone) | others
    engines = _engines(settings)
    every = seen.engines not in ("", engines)
    seen.gone, seen.elsewhere, seen.engines, seen.later = sorted(gone), elsewhere, engines, []
    if not (keys or ids or every):
        return []
    completed = catalog.list_runs("completed", limit=None)
    of = {p.id for key in keys for p in catalog.list_prompts(scene=key, limit=None)}
    return [
        run
        for run in completed
        if "video" in run.outputs
        and (every or run.id in ids or run.prompt_id in of or _file(run) in others)
    ]


def _file(run: Run) -> str | None:
    return run.source.get("video")


def _content(settings: Settings, scene: SceneRow) -> str:
    return content_hash(content_now(settings, scene))[:12]


def _stamp(settings: Settings, stored: str) -> str:
    try:
        stat = located(settings, stored).stat()
    except OSError:
        return "gone"
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _engines(settings: Settings) -> str:
    """A hash of what all engines make their pixels by."""
    known = {}
    for engine in ENGINES.values():
        try:
            mine = settings.engine(engine.name)
        except CosmosError:
            continue
        known[engine.name] = {kind: made_by(mine, kind) for kind in sorted(mine.operations)}
    return content_hash(known)[:12]
