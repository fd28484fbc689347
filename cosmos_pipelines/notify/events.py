"""What has happened since the last look: it is written to the catalog, to be told.

A look costs what has changed. Hosts are asked once a minute, each over a connection of its own.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cosmos_pipelines.catalog.notices import Ended, Notice
from cosmos_pipelines.catalog.records import iso
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operate.places import Place, look_at, places_of
from cosmos_pipelines.remote.gpu import GpuState
from cosmos_pipelines.runs.redact import without_secrets
from cosmos_pipelines.settings import Settings

AT_ONCE: Final = 1000
"""Ended runs of one look."""
CLOCKS: Final = timedelta(minutes=1)
"""By which the clocks of two machines may differ."""
HOSTS_S: Final = 60.0
"""Seconds between two looks at hosts."""
_GIB: Final = 1 << 30
_QUEUE: Final = "queue"


@dataclass
class Seen:
    """What is remembered between looks."""

    revision: int | None = None
    """Up to where the catalog was read; None: what is there already is no news."""
    at: str | None = None
    """When it was read."""
    asked: str | None = None
    """When hosts were asked last."""
    silent: dict[str, str] = field(default_factory=dict)
    """Since when hosts have not answered."""

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
    if "host_away" in wanted:
        _hosts(catalog, settings, seen, now)
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
        since = f" Since {began.strftime('%Y-%m-%d %H:%M UTC')}"
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


def _existing(directory: Path) -> Path:
    return next(d for d in (directory, *directory.parents) if d.is_dir())


def _hosts(catalog: Catalog, settings: Settings, seen: Seen, now: datetime) -> None:
    asked = seen.asked and datetime.fromisoformat(seen.asked)
    if asked and timedelta() <= now - asked < timedelta(seconds=HOSTS_S):
        return
    names = places_of(settings, catalog.active_runs())
    seen.asked = iso(now)
    tell_hosts(catalog, settings, look_at(settings, names), seen, now)


def tell_hosts(
    catalog: Catalog, settings: Settings, found: Mapping[str, Place], seen: Seen, now: datetime
) -> None:
    """Write which of the hosts that were asked have been away for long, and which are back."""
    begun = catalog.open_notices("host_away")
    silent = {name: place for name, place in found.items() if place.host and _is_silent(place)}
    seen.silent = {name: seen.silent.get(name, iso(now)) for name in silent}
    after = timedelta(minutes=settings.notify.host_away_min)
    for name, place in silent.items():
        since, key = datetime.fromisoformat(seen.silent[name]), f"host:{name}"
        if now - since >= after and key not in begun:
            at = since.astimezone(UTC).strftime("%H:%M UTC")
            why = without_secrets(place.problem or "")
            said = f"The host {name} has given no answer since {at}: {why}"
            catalog.open_notice(key, "host_away", said)
    for name in found.keys() - silent.keys():
        if (key := f"host:{name}") in begun:
            catalog.close_notice(key, f"The host {name} answers again.")


def _is_silent(place: Place) -> bool:
    """Whether a place has not answered at all."""
    return place.orders is None and place.gpus == GpuState(())
