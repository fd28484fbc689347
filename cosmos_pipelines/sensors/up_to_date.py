"""The sensor `up_to_date`: what videos are made of is compared with what is there, as it changes.

A step says whether its video is up to date when it has made it. What happens later (a scene is
rendered again, deleted or put back, an engine is replaced) is seen here, and the check of the
videos that it concerns is recorded again.

A tick costs what has changed. It reads the catalog's changes since the last one, and goes on in
turn through what says nothing by itself: the directories of scenes and the files that upscales were
made of, `IN_TURN` of each. So each of 10,000 scenes is looked at every 200 s, each of 500 every
10 s. After another engine, all videos are compared in turn, too.
"""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from typing import Final, Self

import dagster as dg

from cosmos_pipelines.assets.recheck import check_up_to_date, recheck_config
from cosmos_pipelines.catalog.records import Change, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.foreign import as_text
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.locations import is_there, located
from cosmos_pipelines.runs.outdated import Now, made_by
from cosmos_pipelines.runs.scene_state import content_now
from cosmos_pipelines.settings import Settings

A_TICK = 200
"""Videos whose checks a tick asks for at most: each costs Dagster about 12 ms."""
COMPARED: Final = 1_000
"""Videos that a tick compares at most."""
CHANGES: Final = 500
"""Changes of the catalog that a tick reads at most."""
IN_TURN: Final = 500
"""Scenes, files, and after another engine videos, that a tick looks at although nothing changed."""
_ELSEWHERE: Final = re.compile(r"@[0-9a-f]{8}$")
"""The end of the key of a scene that lies outside of the inputs root (`scene_key`)."""


@dataclass
class Seen:
    """What is remembered between ticks."""

    at: str | None = None
    """Up to where the catalog was read."""
    engines: str = ""
    gone: list[str] = field(default_factory=list)
    """Scenes whose directories are not there."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Content of scenes outside of the inputs root, which no other sensor looks at, by key."""
    files: dict[str, str] = field(default_factory=dict)
    """Size and time of video files that upscales were made of, by their stored paths."""
    outdated: dict[str, str] = field(default_factory=dict)
    """By run: why its video is out of date, as a hash."""
    later: list[str] = field(default_factory=list)
    """Runs for which a tick had no time."""
    after_scene: str = ""
    """The scene that was looked at last in turn; "" is the beginning."""
    after_file: str = ""
    after_run: str | None = None
    """The run that was compared last because of another engine; None: all are."""
    asked: int = 0
    """Dagster runs asked for; what changes back and forth is asked for each time."""

    @classmethod
    def parse(cls, cursor: str | None) -> Self:
        """The cursor that `str()` wrote, in this version or an earlier one; None: the beginning."""
        values = json.loads(cursor) if cursor else {}
        if "files" not in values:  # an earlier version kept scenes and files in one
            both = values.get("elsewhere", {})
            values["files"] = {k: v for k, v in both.items() if not _ELSEWHERE.search(k)}
            values["elsewhere"] = {k: v for k, v in both.items() if _ELSEWHERE.search(k)}
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})

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
        changes, seen.at = store.changes_since(seen.at, CHANGES)
        _forget(seen, changes)
        keys, flipped = _look_at_scenes(store, settings, seen, changes)
        files = _look_at_files(settings, seen, changes)
        concerned = _concerned(store, settings, seen, changes, keys, files)
        runs = _changed(context, Now(store, settings), concerned, seen)
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


def _forget(seen: Seen, changes: Iterable[Change]) -> None:
    """Forget what was deleted from the catalog."""
    deleted = {change.id for change in changes if change.row is None}
    seen.gone = [key for key in seen.gone if key not in deleted]
    seen.elsewhere = {k: v for k, v in seen.elsewhere.items() if k not in deleted}
    seen.outdated = {k: v for k, v in seen.outdated.items() if k not in deleted}


def _look_at_scenes(
    catalog: Catalog, settings: Settings, seen: Seen, changes: Iterable[Change]
) -> tuple[set[str], list[str]]:
    """Look at scenes that changed in the catalog and at the next ones in turn.

    Returns the keys of those whose videos may be out of date now, and of those that are gone or
    back.
    """
    changed = {c.id: c.row for c in changes if isinstance(c.row, SceneRow)}
    in_turn = catalog.scenes_after(seen.after_scene, IN_TURN)
    seen.after_scene = in_turn[-1].key if len(in_turn) == IN_TURN else ""
    looked = {scene.key: scene for scene in in_turn} | changed
    gone = {key for key, scene in looked.items() if not is_there(settings, scene)}
    flipped = gone.symmetric_difference(looked.keys() & set(seen.gone))
    others = set()
    for key, scene in looked.items():
        if not _ELSEWHERE.search(key):
            continue
        content = _content(settings, scene)
        if seen.elsewhere.get(key) != content:
            seen.elsewhere[key] = content
            others.add(key)
    seen.gone = sorted({*seen.gone} - looked.keys() | gone)
    return changed.keys() | flipped | others, sorted(flipped)


def _look_at_files(settings: Settings, seen: Seen, changes: Iterable[Change]) -> set[str]:
    """Look at the next files in turn that upscales were made of; those that are others now."""
    for change in changes:
        run = change.row
        if not isinstance(run, Run) or run.status != "completed":
            continue
        if file := _file(run):
            seen.files.setdefault(file, _stamp(settings, file))
    in_turn = list(islice((f for f in sorted(seen.files) if f > seen.after_file), IN_TURN))
    seen.after_file = in_turn[-1] if len(in_turn) == IN_TURN else ""
    others = {file for file in in_turn if seen.files[file] != _stamp(settings, file)}
    seen.files |= {file: _stamp(settings, file) for file in others}
    return others


def _concerned(
    catalog: Catalog,
    settings: Settings,
    seen: Seen,
    changes: Iterable[Change],
    keys: Collection[str],
    files: Collection[str],
) -> list[Run]:
    """Runs with a video whose check may be another now; what is too much comes in a later tick."""
    found = catalog.find_runs(seen.later)
    found |= {c.id: c.row for c in changes if isinstance(c.row, Run)}
    found |= {run.id: run for run in catalog.videos_of_scenes(keys)}
    if files:
        found |= {run.id: run for run in catalog.upscales_of_files() if _file(run) in files}
    engines = _engines(settings)
    if seen.engines not in ("", engines):
        seen.after_run = ""
    seen.engines = engines
    if seen.after_run is not None:
        in_turn = catalog.videos_after(seen.after_run, IN_TURN)
        seen.after_run = in_turn[-1].id if len(in_turn) == IN_TURN else None
        found |= {run.id: run for run in in_turn}
    runs = [run for run in found.values() if run.status == "completed" and "video" in run.outputs]
    seen.later = [run.id for run in runs[COMPARED:]]
    return runs[:COMPARED]


def _changed(
    context: dg.SensorEvaluationContext, now: Now, runs: list[Run], seen: Seen
) -> list[str]:
    """Ids of those whose check is another now; what is too much for one tick comes later."""
    now.know(runs)
    found: list[str] = []
    for run in runs:
        if len(found) >= A_TICK:
            seen.later.append(run.id)
            continue
        try:
            reasons = now.reasons(run)
        except (CosmosError, OSError) as e:  # the others go on
            context.log.warning(as_text(f"{run.id} cannot be compared: {e}"))
            continue
        state = content_hash({"r": [r.as_dict() for r in reasons]})[:12] if reasons else None
        if seen.outdated.get(run.id) == state:
            continue
        seen.outdated.pop(run.id, None)
        if state is not None:
            seen.outdated[run.id] = state
        found.append(run.id)
    return found


def _file(run: Run) -> str | None:
    return run.source.get("video")


def _content(settings: Settings, scene: SceneRow) -> str:
    try:
        return content_hash(content_now(settings, scene))[:12]
    except (CosmosError, OSError):
        return "unreadable"


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
        made = {kind: made_by(mine, kind) for kind in sorted(mine.operations)}
        chosen = mine.options.model_dump(mode="json") if mine.options_type else {}
        known[engine.name] = {"made_by": made, "options": chosen}
    return content_hash(known)[:12]
