"""What has happened since the last look: it is written to the catalog, to be told.

A look costs what has changed, and waits for no host.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cosmos_pipelines.catalog.notices import Ended, Notice
from cosmos_pipelines.catalog.records import iso, to_the_minute
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operate.place_looks import look_again
from cosmos_pipelines.runs.known_places import known_places
from cosmos_pipelines.runs.redact import without_secrets
from cosmos_pipelines.settings import Settings

AT_ONCE: Final = 1000
"""Ended runs of one look."""
CLOCKS: Final = timedelta(minutes=1)
"""By which the clocks of two machines may differ."""
_GIB: Final = 1 << 30
_QUEUE: Final = "queue"


@dataclass
class Seen:
    """What is remembered between looks."""

    revision: int | None = None
    """Up to where the catalog was read; None: what is there already is no news."""
    at: str | None = None
    """When it was read."""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """What `str()` has written; None: nothing yet."""
        return cls(**json.loads(text)) if text else cls()

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def look(
    catalog: Catalog, settings: Settings, before: str | None, now: datetime | None = None
) -> str:
    """Write what has happened since the last look, which returned `before`; None: the first one.

    Returns what the next look is to be given.
    """
    now = now or datetime.now(UTC)
    seen, wanted = Seen.parse(before), settings.notify.events
    ended = _ended(catalog, seen, now)
    if "failed" in wanted:
        failed = [run for run in ended if run.status == "failed"]
        catalog.add_notices(_failure(run, now) for run in failed)
    if "queue_empty" in wanted:
        _queue(catalog, ended, now)
    if "disk_full" in wanted:
        _disk(catalog, settings)
        _disks_of_hosts(catalog, settings, now)
    if "host_away" in wanted:
        _places(catalog, settings, now)
    return str(seen)


def _ended(catalog: Catalog, seen: Seen, now: datetime) -> list[Ended]:
    """The runs that ended since the last look; one that was only rated since is not among them."""
    if seen.revision is None or seen.at is None:
        seen.revision, seen.at = catalog.newest_revision(), iso(now)
        return []
    since = datetime.fromisoformat(seen.at) - CLOCKS
    found, seen.revision = catalog.ended_after(seen.revision, AT_ONCE)
    if len(found) < AT_ONCE:
        seen.at = iso(now)
    return [run for run in found if run.completed_at >= since]


def _failure(run: Ended, now: datetime) -> Notice:
    what = without_secrets(run.message or "it is not known why.")
    said = f"{run.run_id} ({run.model_type} on {run.backend}): {run.kind}: {what}"
    return Notice(f"failed:{run.run_id}:{run.attempt}", "failed", said, now)


def _queue(catalog: Catalog, ended: Sequence[Ended], now: datetime) -> None:
    """A queue at work is something that goes on; when it ends, that is told.

    So is one that was at work between two looks only.
    """
    began = catalog.open_notices("queue_empty").get(_QUEUE)
    unfinished = catalog.count_unfinished()
    if began is None and unfinished:
        catalog.open_notice(_QUEUE, "queue_empty", "The queue is at work.", told=False)
    elif began is not None and not unfinished:
        since = f" Since {to_the_minute(began)}"
        counts = catalog.ended_since(began)
        catalog.close_notice(_QUEUE, f"The queue is empty.{since}: {_listed(counts)}.")
    elif began is None and (mine := [run for run in ended if run.queued]):
        key = f"{_QUEUE}:{mine[-1].run_id}:{mine[-1].attempt}"
        said = f"The queue is empty: {_listed(Counter(run.status for run in mine))}."
        catalog.add_notices([Notice(key, "queue_empty", said, now)])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "no run has ended"


def _disk(catalog: Catalog, settings: Settings) -> None:
    least, machine = settings.notify.disk_free_gib, socket.gethostname()
    begun = catalog.open_notices("disk_full")
    directories = {_existing(settings.outputs), _existing(settings.dagster_dir)}
    for device, directory in sorted({str(d.stat().st_dev): d for d in directories}.items()):
        free = shutil.disk_usage(directory).free / _GIB
        key = f"disk:{machine}:{device}"
        if free < least and key not in begun:
            said = f"{free:.1f} GiB free in {directory} on {machine}. `cosmos clean` makes room."
            catalog.open_notice(key, "disk_full", said)
        elif free > 1.1 * least and key in begun:
            catalog.close_notice(key)


def _disks_of_hosts(catalog: Catalog, settings: Settings, now: datetime) -> None:
    """As the last looks at the hosts have found; what is not known changes nothing."""
    look_again(settings)
    least, begun = settings.notify.host_disk_free_gib, catalog.open_notices("disk_full")
    places = settings.places
    for name, state in known_places(settings, now).items():
        if not state.up or state.free_bytes is None:
            continue
        free, key = state.free_bytes / _GIB, f"disk:host:{name}"
        if free < least and key not in begun:
            where = f"{places[name].remote.remote_dir} on {places[name].address} ({name})"
            said = f"{free:.1f} GiB free below {where}. `cosmos clean` makes room."
            catalog.open_notice(key, "disk_full", said)
        elif free > 1.1 * least and key in begun:
            catalog.close_notice(key)
    for key in begun:
        if key.startswith("disk:host:") and key.removeprefix("disk:host:") not in places:
            catalog.close_notice(key)  # it is no place any more


def _existing(directory: Path) -> Path:
    return next(d for d in (directory, *directory.parents) if d.is_dir())


def _places(catalog: Catalog, settings: Settings, now: datetime) -> None:
    """What the last looks at the places have found, which go on in the background."""
    look_again(settings)
    begun, known = catalog.open_notices("host_away"), known_places(settings, now)
    after = timedelta(minutes=settings.notify.host_away_min)
    for name, state in known.items():
        key, since = f"host:{name}", state.away_since
        if state.up is False and since is not None:
            if now - since >= after and key not in begun:
                at = since.astimezone(UTC).strftime("%H:%M UTC")
                said = f"{name} is away since {at}: {without_secrets(state.said or 'no answer')}"
                catalog.open_notice(key, "host_away", said)
        elif state.up and key in begun:
            catalog.close_notice(key, f"{name} answers again.")
    for key in begun.keys() - {f"host:{name}" for name in known}:
        catalog.close_notice(key)  # it is no place any more
