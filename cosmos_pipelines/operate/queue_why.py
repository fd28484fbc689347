"""`cosmos queue why`: why a run has not started yet, all reasons, the strongest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from loguru import logger

from cosmos_pipelines.backends.owner import owner_shown
from cosmos_pipelines.backends.registry import host_of
from cosmos_pipelines.catalog.pauses import ALL, engine_scope, place_scope
from cosmos_pipelines.catalog.records import ACTIVE, Load, Pause, Run, to_the_minute, utc_now
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operate.places import look_at
from cosmos_pipelines.runs.given_up import KEPT_DAYS, may_be_gone_back_to
from cosmos_pipelines.runs.looks import Looks
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import AUTO

NAMED: Final = 3
"""Runs before it that are named."""
Reason = tuple[str, str | None]
"""A sentence, and the command that helps; None: nothing has to be done."""


def why_waiting(catalog: Catalog, settings: Settings, run_id: str) -> dict[str, Any]:
    """Return why a run has not started; see `CosmosAPI.why_queued`."""
    run = catalog.get_run(run_id)
    position = catalog.position_of(run) if run.status == "pending" and run.queued_at else None
    reasons = list(_reasons(catalog, settings, run, position))
    return {
        "run_id": run.id,
        "status": run.status,
        "position": position,
        "reasons": [{"said": said, "do": do} for said, do in reasons],
    }


def _reasons(
    catalog: Catalog, settings: Settings, run: Run, position: int | None
) -> Iterator[Reason]:
    if run.status == "uploading":
        said = (run.progress or {}).get("text") or "its inputs are uploaded"
        yield f"It is about to start: {said}.", None
    elif run.status in ACTIVE:
        yield f"It has started: it is {run.status}.", f"cosmos logs -f {run.id}"
    elif run.status != "pending":
        command = "show" if run.status == "completed" else "why"
        yield f"It does not wait: it is {run.status}.", f"cosmos {command} {run.id}"
    elif position is None:
        yield "It was not put into the queue.", f"cosmos run {run.id}"
    else:
        yield from _of_a_waiting_run(catalog, settings, run, position)


def _of_a_waiting_run(
    catalog: Catalog, settings: Settings, run: Run, position: int
) -> Iterator[Reason]:
    scopes = [ALL, place_scope(run.backend), engine_scope(run.engine)]
    for pause in catalog.list_pauses():
        if pause.scope in scopes:
            yield _paused(pause)
    parent = list(_parent(catalog, settings, run))
    yield from parent
    if run.leased(utc_now()):
        yield f"{owner_shown(run.leased_by)} is about to start it.", None
    elif run.load_id and (load := catalog.find_loads([run.load_id]).get(run.load_id)):
        yield _prepared(catalog, load)
    elif position > 1:
        said, command = _behind(catalog, run, position)
        yield said, None if parent else command
    if host_of(settings, run.backend) is not None:
        place = look_at(settings, [run.backend])[run.backend]
        if place.problem:
            yield f"The host {run.backend} cannot be used now: {place.problem}", "cosmos doctor"
    elif run.backend == AUTO:
        yield from _nowhere(catalog, settings, run)
    elif run.backend not in settings.places:
        said = f"The place {run.backend} is not in cosmos.toml."
        yield said, f"cosmos run --again {run.id}"


def _nowhere(catalog: Catalog, settings: Settings, run: Run) -> Iterator[Reason]:
    looks = Looks(catalog, settings, [run], lambda said, _: logger.debug("{said}", said=said))
    looks.waiting(run)
    if said := looks.nowhere.get(run.id):
        yield said, f"cosmos host list --engine {run.engine}"


def _paused(pause: Pause) -> Reason:
    kind, _, name = pause.scope.partition(":")
    what = {"host": f"The place {name}", "engine": f"The engine {name}"}.get(kind, "The queue")
    reason = f": {pause.reason.rstrip('.')}" if pause.reason else ""
    option = f" --{kind} {name}" if name else ""
    said = f"{what} is paused since {to_the_minute(pause.paused_at)} by {pause.paused_by}{reason}."
    return said, f"cosmos queue resume{option}"


def _parent(catalog: Catalog, settings: Settings, run: Run) -> Iterator[Reason]:
    parent = catalog.find_run(run.parent_run_id) if run.parent_run_id else None
    if parent is None or parent.status == "completed":
        return
    if may_be_gone_back_to(parent, settings, utc_now()):
        said = (
            f"Its video's run {parent.id} has failed since the host {parent.backend} was away. It "
            f"goes on when the host answers again; if it does not within {KEPT_DAYS} days after "
            "that, this run fails too."
        )
        yield said, "cosmos host list"
        return
    if parent.status in ("failed", "cancelled"):
        said = f"Its video's run {parent.id} is {parent.status}, so it will fail."
        yield said, f"cosmos run {parent.id} {run.id}"
        return
    waits = parent.status == "pending"
    command = f"cosmos queue why {parent.id}" if waits else f"cosmos logs -f {parent.id}"
    yield f"Its video is not made yet: run {parent.id} is {parent.status}.", command


def _prepared(catalog: Catalog, load: Load) -> Reason:
    mates = len(load.run_ids) - 1
    others = f", with {mates} other run{'s' if mates > 1 else ''}" if mates else ""
    busy = [r.id for r in catalog.active_runs() if r.backend == load.place and r.load_id != load.id]
    used = f"; there run now: {', '.join(busy[:NAMED])}" if busy else ""
    said = f"It is in load {load.id}{others}, which starts next at {load.place}{used}."
    return said, f"cosmos logs -f {busy[0]}" if busy else None


def _behind(catalog: Catalog, run: Run, position: int) -> Reason:
    number = position - 1
    first = ", ".join(other.id for other in catalog.queued_runs(min(number, NAMED)))
    runs = "1 run is" if number == 1 else f"{number} runs are"
    more = f" and {number - NAMED} more" if number > NAMED else ""
    said = f"{runs} before it in the queue: {first}{more}."
    return said, f"cosmos queue move {run.id} --first"
