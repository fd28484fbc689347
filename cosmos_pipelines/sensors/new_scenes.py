"""The sensor `new_scenes`: directories that appear below the inputs root become scenes.

Nothing half-written is taken: a directory counts as settled when nothing came for a multiple of the
time between its own frames (see `media/settling.py`), at once when a marker, a video's own index or
the number of frames that its request declares says that it is whole. Each state of a directory is
taken once; one that cannot be used is told once, with the reason, and looked at again when it
changes.

A tick looks several times, where Dagster runs sensors in threads, so that a drop is seen within a
second and most ticks of an idle day are spared.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal

import dagster as dg

from cosmos_pipelines.assets.partitions import SCENE_KEYS, SCENES
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError, MediaError
from cosmos_pipelines.foreign import as_text
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.media.sequence import PASSES, Pass, find_passes
from cosmos_pipelines.media.settling import (
    MARKER,
    STILL_S,
    SceneLook,
    all_whole,
    look_at,
    quiet,
    wait_s,
)
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.inputs import register_scene
from cosmos_pipelines.runs.locations import scene_key
from cosmos_pipelines.runs.scene_requests import TEXT, TOML, read_request, register_request
from cosmos_pipelines.sensors.looking import Looks, scene_directories
from cosmos_pipelines.settings import Settings

A_TICK: Final = 20
"""Scenes requested a tick at most; each request costs Dagster 0.15 s."""
TICK_S: Final = 4.5
"""How long a tick goes on looking, if there is nothing to ask for."""
LOOK_S: Final = 0.5
"""Between two looks of a tick."""
NOW_BYTES: Final = 256_000_000
"""Videos up to so much in all are registered in the tick itself; they are hashed there."""

State = Literal["settling", "waiting", "taken", "bad"]
"""`waiting`: nothing comes any more, and it is not whole."""

LOOKS: Final = Looks()


@dataclass
class Seen:
    """What is remembered of a directory between looks. Times in seconds since 1970."""

    look: str
    since: float
    """When it was first seen as it is now."""
    state: State = "settling"
    said: str = ""
    """Why it is bad or waits."""
    tried: bool = False
    """Nothing about it says by itself that it is whole; only time will tell."""
    before: float = 0
    """When the newest file was written of what was taken last; 0: nothing was taken yet."""
    gap: float = 0
    """The longest time between two of its frames, of what was taken last."""


@dataclass
class Found:
    """What a tick has found so far."""

    seen: dict[str, Seen]
    taken: dict[str, Seen] = field(default_factory=dict)


@dg.sensor(
    target=dg.AssetSelection.assets(SCENES),
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Registers scene directories that appear below the inputs root, with the prompts "
    f"and runs that their {TOML} or {TEXT} asks for.",
)
def new_scenes(
    context: dg.SensorEvaluationContext, catalog: CatalogResource
) -> dg.SensorResult | dg.SkipReason:
    """Look at the scene directories; several times, where that holds up no other sensor."""
    settings = catalog.settings
    found = Found(_parse(context.cursor))
    threaded = bool((context.instance.get_sensor_settings() or {}).get("use_threads"))
    end = time.monotonic() + (TICK_S if threaded else 0)
    while True:
        began = time.monotonic()
        _look(context, catalog, settings, found)
        if found.taken or time.monotonic() + LOOK_S > end:
            return _result(context, found)
        time.sleep(max(LOOK_S - (time.monotonic() - began), LOOK_S / 5))


def _result(context: dg.SensorEvaluationContext, found: Found) -> dg.SensorResult | dg.SkipReason:
    cursor = json.dumps({k: asdict(v) for k, v in found.seen.items()}, sort_keys=True)
    if not found.taken:
        if cursor != context.cursor:
            context.update_cursor(cursor)
        return dg.SkipReason(_summary(found.seen))
    return dg.SensorResult(
        run_requests=[_request(name, seen) for name, seen in found.taken.items()],
        dynamic_partitions_requests=[SCENE_KEYS.build_add_request(list(found.taken))],
        cursor=cursor,
    )


def _parse(cursor: str | None) -> dict[str, Seen]:
    """What the last tick remembered; nothing of what an earlier version wrote."""
    try:
        return {name: Seen(**seen) for name, seen in json.loads(cursor or "{}").items()}
    except TypeError:
        return {}


def now() -> float:
    """The time of day, which outlives a restart of the daemon."""
    return time.time()


def _look(
    context: dg.SensorEvaluationContext, catalog: CatalogResource, settings: Settings, found: Found
) -> None:
    """Look at every directory once, and decide."""
    before, after = found.seen, dict[str, Seen]()
    directories = {
        directory.relative_to(settings.inputs).as_posix(): directory
        for directory in scene_directories(settings.inputs, LOOKS.known)
    }
    settling = {n for n in directories if n not in before or before[n].state == "settling"}

    def look(directory: Path) -> SceneLook:
        seen = before.get(directory.relative_to(settings.inputs).as_posix())
        return look_at(directory, since_s=seen.before if seen else 0, also=(TOML, TEXT))

    looks = LOOKS.at(list(directories.values()), {directories[name] for name in settling}, look)
    gone = {seen.look for name, seen in before.items() if name not in directories}
    for name, directory in directories.items():
        if directory not in looks:
            continue
        after[name] = seen = _as_now(before.get(name), looks[directory])
        if seen.state != "settling" or len(found.taken) >= A_TICK:
            continue
        renamed = name not in before and seen.look in gone
        try:
            taken = _decide(settings, directory, looks[directory], seen, renamed=renamed)
        except Exception as e:  # noqa: BLE001 - one directory never stops the others
            taken, seen.state, seen.said = False, "bad", str(e) or type(e).__name__
        if taken:
            found.taken[name] = seen
            _register(context, catalog, directory, looks[directory])
        elif seen.said:
            context.log.warning(as_text(f"{name} is not taken: {seen.said}"))
    found.seen = after


def _as_now(seen: Seen | None, look: SceneLook) -> Seen:
    """What is remembered of a directory, given how it looks now."""
    if seen is not None and seen.look == look.stamp:
        return Seen(**asdict(seen))
    fresh = Seen(look.stamp, now())
    if seen is not None:
        fresh.before, fresh.gap = seen.before, seen.gap
    return fresh


def _decide(
    settings: Settings, directory: Path, look: SceneLook, seen: Seen, *, renamed: bool
) -> bool:
    """Whether a directory is settled and can be used; what is remembered of it says so then.

    Raises:
        CosmosError: it cannot be used; says why.
    """
    unchanged = now() - seen.since
    needed = wait_s(look, settings.scenes.settle_s, seen.gap)
    sure = look.marked or renamed or quiet(look, unchanged, now(), needed)
    if not sure and (seen.tried or unchanged < STILL_S):
        return False
    seen.tried = True
    request = read_request(directory)
    frames = request.frames if request else None
    counted = frames is not None and seen.before == 0
    if not (sure or counted or all_whole(directory, look)):
        return False
    scene_key(settings, directory)
    passes = _passes(directory)
    lengths = {one.label: _frames(one) for one in passes.values()}
    if why := _not_whole(lengths, frames, alone=not look.marked):
        seen.state, seen.said = ("waiting", why) if sure else ("settling", "")
        return False
    _refuse(passes)
    seen.state, seen.before, seen.gap = "taken", look.written_s, max(look.gap_s, seen.gap)
    return True


def _passes(directory: Path) -> dict[str, Pass]:
    """What was rendered, and finished videos of passes of which nothing else is there."""
    found = find_passes(directory)
    for name in PASSES:
        file = directory / f"{name}.mp4"
        if name not in found and file.is_file():
            found[name] = Pass(name, "video", file.name, (file,))
    return found


def _refuse(passes: Mapping[str, Pass]) -> None:
    """Raises MediaError where a quick look tells that this cannot become a scene."""
    if "color" not in passes:
        found = ", ".join(passes) or "nothing that is a pass"
        raise MediaError(f"There is no color pass (found: {found}).")
    for one in passes.values():
        if one.gaps:
            raise MediaError(f"{one.label} lacks {one.gaps_text}.")


def _frames(one: Pass) -> int:
    return probe(one.files[0]).frames if one.kind == "video" else len(one.files)


def _not_whole(lengths: Mapping[str, int], declared: int | None, *, alone: bool) -> str:
    """Why what is there is not all, although nothing comes any more; empty if it seems whole.

    `alone`: a sequence of one picture is taken for the beginning of a longer one.
    """
    said = ", ".join(f"{label} has {count}" for label, count in lengths.items())
    if declared is not None and any(count < declared for count in lengths.values()):
        return f"Of the {declared} frames that its {TOML} declares, {said}."
    if declared is not None and any(count > declared for count in lengths.values()):
        raise InputError(f"Its {TOML} declares {declared} frames, but {said}.")
    if len(set(lengths.values())) > 1:
        return f"Its passes are not of one length: {said}."
    if alone and declared is None and set(lengths.values()) == {1}:
        return f"There is one frame only; write {MARKER} if that is all."
    return ""


def _register(
    context: dg.SensorEvaluationContext, catalog: CatalogResource, directory: Path, look: SceneLook
) -> None:
    """Register a scene of finished videos at once; its Dagster run only records it, then."""
    if look.bytes > NOW_BYTES or not all_whole(directory, look):
        return
    try:
        with catalog.open() as (store, settings):
            register_scene(store, settings, directory)
            _make_requests(store, settings, directory)
    except Exception as e:  # noqa: BLE001 - its run says so, where the page shows it
        context.log.warning(as_text(f"{directory.name}: {e}"))


def _make_requests(catalog: Catalog, settings: Settings, directory: Path) -> None:
    request = read_request(directory)
    if request is not None:
        register_request(catalog, settings, directory, request)


def _request(name: str, seen: Seen) -> dg.RunRequest:
    """Keyed by the state and when it was seen: what comes back as it was is registered again."""
    return dg.RunRequest(
        run_key=f"scene.{name}.{seen.look}.{int(seen.since)}",
        asset_selection=[SCENES],
        partition_key=name,
        tags={"cosmos/by": "new_scenes", "dagster/max_retries": "2"},
    )


def _summary(seen: Mapping[str, Seen]) -> str:
    counts = {state: sum(s.state == state for s in seen.values()) for state in ("taken", "bad")}
    settling = [name for name, s in seen.items() if s.state == "settling"]
    waiting = [f"{name}: {s.said}" for name, s in seen.items() if s.state == "waiting"]
    said = f"{counts['taken']} scenes known, {counts['bad']} unusable"
    said += f"; not settled yet: {', '.join(settling[:5])}" if settling else ""
    return as_text(f"{said}; not whole: {' '.join(waiting[:3])}" if waiting else f"{said}.")
