"""The sensor `new_scenes`: directories that appear below the inputs root become scenes.

Nothing half-written is taken: a directory counts as settled when nothing came for a multiple of the
time between its own frames (see `media/settling.py`), at once when a marker, a video's own index or
the number of frames that its request declares says that it is whole. Each state of a directory is
taken once; one that cannot be used is told once, with the reason, and looked at again when it
changes.

A tick looks several times, where Dagster runs sensors in threads, so that a drop is seen within a
second and most ticks of an idle day are spared.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

import dagster as dg

from cosmos_pipelines.assets.partitions import SCENE_KEYS, SCENES, add_keys
from cosmos_pipelines.assets.scenes import whether_there
from cosmos_pipelines.assets.sync import add_partitions, record
from cosmos_pipelines.foreign import as_text
from cosmos_pipelines.media.settling import SceneLook, all_whole, look_at
from cosmos_pipelines.resources.dagster_private import last_checked_at
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.inputs import register_scene
from cosmos_pipelines.runs.scene_requests import TEXT, TOML, read_request, register_request
from cosmos_pipelines.sensors import settled
from cosmos_pipelines.sensors.looking import Found, Looks
from cosmos_pipelines.sensors.scene_memory import Memory, Seen, State

TICK_S: Final = 4.5
"""How long a tick goes on looking, if there is nothing to ask for."""
LOOK_S: Final = 0.5
"""Between two looks of a tick; more where a look takes long."""
DECIDE_S: Final = 10.0
"""How long a look goes on deciding (one at least); what is left is decided in the next one."""
NAMED: Final = 10
"""Directories that are named a tick, with the reason why they are not taken."""
NOW_BYTES: Final = 256_000_000
"""Videos up to so much in all are registered in the tick itself; they are hashed there."""

LOOKS: Final = Looks()


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
    memory = Memory.of(context.cursor)
    threaded = bool((context.instance.get_sensor_settings() or {}).get("use_threads"))
    end = time.monotonic() + (TICK_S if threaded else 0)
    while True:
        began = time.monotonic()
        _look(context, catalog, memory)
        took = time.monotonic() - began
        pause = max(LOOK_S - took, LOOK_S / 5, 4 * took)
        if memory.requested or memory.registered or time.monotonic() + pause > end:
            return _result(context, memory)
        time.sleep(pause)


def _result(context: dg.SensorEvaluationContext, memory: Memory) -> dg.SensorResult | dg.SkipReason:
    cursor = memory.text()
    Memory.last = memory
    if not memory.requested:
        if cursor != context.cursor:
            context.update_cursor(cursor)
        return dg.SkipReason(_summary(memory))
    add_keys(context.instance, str(SCENE_KEYS.name), list(memory.requested))
    requests = [_request(name, seen) for name, seen in memory.requested.items()]
    return dg.SensorResult(run_requests=requests, cursor=cursor)


def _look(context: dg.SensorEvaluationContext, catalog: CatalogResource, memory: Memory) -> None:
    """Look at the directories once, and decide."""
    settings = catalog.settings
    root = settings.inputs

    def into(directory: Path) -> SceneLook:
        name = _name(root, directory)
        before = memory.before
        return look_at(
            directory,
            since_s=before(name),
            since_of=lambda scene: before(f"{name}/{scene}"),
            also=(TOML, TEXT),
        )

    settling = [root / name for name, seen in memory.seen.items() if seen.state == "settling"]
    found = LOOKS.at(root, [p for s in settling for p in (s, *s.parents)], into)
    gone = _forget(memory, root, found)
    for directory, why in found.failed.items():
        _refused(context, memory, _name(root, directory), Seen("", settled.now()), why)
    end, decided = time.monotonic() + DECIDE_S, 0
    for one in _units(root, found):
        renamed = one.name not in memory.seen and one.look.stamp in gone
        known = memory.seen.get(one.name)
        seen = _as_now(known, one.look)
        if seen is known and known.state == "bad" and one.directory in found.first:
            seen = replace(known, state="settling", tried=False)  # another version may take it
        if seen != memory.seen.get(one.name):
            memory.put(one.name, seen)
        in_time = time.monotonic() < end or not decided
        if seen.state == "settling" and not memory.full and in_time:
            decided += _take(context, catalog, memory, one, renamed=renamed)


@dataclass(frozen=True)
class _Unit:
    """What becomes a scene: a directory, or one of several scenes in it."""

    name: str
    directory: Path
    look: SceneLook
    scene: str | None = None


def _units(root: Path, found: Found) -> Iterator[_Unit]:
    for directory, look in found.looks.items():
        name = _name(root, directory)
        if not look.scenes:
            yield _Unit(name, directory, look)
        for scene, one in look.scenes.items():
            yield _Unit(f"{name}/{scene}".rstrip("/"), directory, one, scene or None)


def _name(root: Path, directory: Path) -> str:
    return directory.relative_to(root).as_posix()


def _forget(memory: Memory, root: Path, found: Found) -> set[str]:
    """Forget the directories that are gone; returns how they looked."""
    left = memory.within(_name(root, directory) for directory in found.empty)
    if found.scenes is not None:
        there = [_name(root, directory) for directory in found.scenes]
        left |= memory.seen.keys() - memory.within(there)
    left |= _not_there_any_more(memory, root, found)
    looked = {memory.seen[name].look for name in left if name in memory.seen}
    for name in left & memory.seen.keys():
        memory.put(name, None)
    return looked


def _not_there_any_more(memory: Memory, root: Path, found: Found) -> set[str]:
    """Scenes of directories that hold others now: several, or one."""
    units = {one.name for one in _units(root, found)}
    directories = [_name(root, directory) for directory in found.looks]
    others = [n for d, n in zip(found.looks.values(), directories, strict=True)
              if d.scenes or n not in memory.seen]  # fmt: skip
    if not others or not memory.seen:
        return set()
    inside = {
        f"{name}/{one}"
        for look, name in zip(found.looks.values(), directories, strict=True)
        for one in look.inside
    }
    return memory.within(others) - units - memory.within(inside)


def _refused(
    context: dg.SensorEvaluationContext, memory: Memory, name: str, seen: Seen, why: str
) -> None:
    """Remember why a directory is not taken; it is told once."""
    before = memory.seen.get(name)
    if before is not None and (before.state, before.look, before.said) == ("bad", seen.look, why):
        return
    memory.put(name, replace(seen, state="bad", said=why))
    context.log.warning(as_text(f"{name} is not taken: {why}"))


def _as_now(seen: Seen | None, look: SceneLook) -> Seen:
    """What is remembered of a directory, given how it looks now."""
    if seen is not None and seen.look == look.stamp:
        return seen
    fresh = Seen(look.stamp, settled.now())
    return replace(fresh, before=seen.before, gap=seen.gap) if seen is not None else fresh


def _take(
    context: dg.SensorEvaluationContext,
    catalog: CatalogResource,
    memory: Memory,
    one: _Unit,
    *,
    renamed: bool,
) -> bool:
    """Take a scene if it is settled and can be used; returns whether that says anything new."""
    name, directory, look = one.name, one.directory, one.look
    before = memory.seen[name]
    seen = replace(before)
    try:
        taken = settled.decide(
            catalog.settings, directory, look, seen, renamed=renamed, scene=one.scene
        )
    except Exception as e:  # noqa: BLE001 - one directory never stops the others
        _refused(context, memory, name, before, str(e) or type(e).__name__)
        return True
    if seen != before:
        memory.put(name, seen)
    if not taken:
        if seen.said and seen.said != before.said:
            context.log.warning(as_text(f"{name} is not taken: {seen.said}"))
    elif one.scene is None and _registered(context, catalog, directory, look):
        memory.registered.append(name)
    else:
        memory.requested[name] = seen
    return seen != before


def _registered(
    context: dg.SensorEvaluationContext, catalog: CatalogResource, directory: Path, look: SceneLook
) -> bool:
    """Whether a scene of finished videos was registered at once; a Dagster run does the others."""
    if look.bytes > NOW_BYTES or not all_whole(directory, look):
        return False
    try:
        with catalog.open() as (store, settings):
            request = read_request(directory)
            scene = register_scene(store, settings, directory)
            record(context.instance, store, settings, scene)
            if request is not None:
                prompts, runs = register_request(store, settings, directory, request)
                add_partitions(context.instance, [*prompts, *runs])
            there = whether_there(settings, scene)
            # Dagster takes the first evaluation without a Dagster run; `up_to_date` has later ones
            if last_checked_at(context.instance, there.asset_check_key, scene.key) is None:
                context.instance.report_runless_asset_event(there)
    except Exception as e:  # noqa: BLE001 - its Dagster run says so, where the page shows it
        context.log.warning(as_text(f"{directory.name}: {e}"))
        return False
    return True


def _request(name: str, seen: Seen) -> dg.RunRequest:
    """Keyed by the state and when it was seen: what comes back as it was is registered again."""
    return dg.RunRequest(
        run_key=f"scene.{name}.{seen.look}.{int(seen.since)}",
        asset_selection=[SCENES],
        partition_key=name,
        tags={"cosmos/by": "new_scenes", "cosmos/scene": name, "dagster/max_retries": "2"},
    )


def _summary(memory: Memory) -> str:
    """What the page shows of a tick: what was registered, and each directory that is not taken."""
    by_state: dict[State, list[str]] = {state: [] for state in get_args(State)}
    for name, seen in memory.seen.items():
        by_state[seen.state].append(name)
    said = f"{len(by_state['taken'])} scenes known, {len(by_state['bad'])} unusable"
    if memory.registered:
        said = f"Registered {', '.join(memory.registered)}. {said}"
    if settling := by_state["settling"]:
        said += f"; not settled yet: {_some(settling)}"
    told = [f"{name}: {memory.seen[name].said}" for name in by_state["waiting"][:NAMED]]
    said += f"; not whole: {' '.join(told)}" if told else ""
    bad = [f"{name}: {memory.seen[name].said}" for name in by_state["bad"][:NAMED]]
    return as_text("\n".join([f"{said}." if not told else said, *bad]))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
