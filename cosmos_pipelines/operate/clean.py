"""Remove what no run needs any more, here, on the GPU hosts and of Dagster's records.

Each part first finds, then removes what it found, after another look at it. Trouble with one thing,
or with a host that is away, is told and stops nothing else. Whatever is interrupted is found again.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.backends.at_once import at_once
from cosmos_pipelines.backends.base import Backend, KeptOrder
from cosmos_pipelines.backends.registry import (
    backend_for,
    host_names,
    host_of,
    place_words,
)
from cosmos_pipelines.catalog.deletion import deleted_runs
from cosmos_pipelines.catalog.records import Run, utc_now
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, StateError, of_file
from cosmos_pipelines.files import remove, room_for
from cosmos_pipelines.hosts.orders import of_host
from cosmos_pipelines.runs.claim import INTERRUPTED, MAY_STILL_RUN
from cosmos_pipelines.runs.scene_state import scene_preview
from cosmos_pipelines.settings import Settings

HERE: Final = "this machine"
PICTURES: Final = "scene pictures"
DAEMON_LOG: Final = "daemon logs"
MOST_LOADS: Final = 10_000
"""Loads that are removed in one clean."""


@dataclass(frozen=True)
class Removed:
    """One thing that was, or in a dry run would be, removed."""

    kind: str
    place: str
    """`this machine`, or what users call the GPU host."""
    id: str
    bytes: int


@dataclass
class Cleaned:
    """What a clean has removed, or in a dry run would remove, and what it could not."""

    older_s: float
    dry_run: bool
    removed: list[Removed] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; `kinds` has the number and the bytes of each kind in each place."""
        kinds: dict[tuple[str, str], dict[str, Any]] = {}
        for one in self.removed:
            zero = {"kind": one.kind, "place": one.place, "number": 0, "bytes": 0}
            row = kinds.setdefault((one.kind, one.place), zero)
            row["number"] += 1
            row["bytes"] += one.bytes
        return {
            "older_s": self.older_s,
            "dry_run": self.dry_run,
            "kinds": list(kinds.values()),
            "removed": [asdict(one) for one in self.removed],
            "problems": list(self.problems),
        }

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Keep what goes wrong with one thing as a problem."""
        try:
            yield
        except CosmosError as e:
            self.problems.append(str(e))
        except OSError as e:
            self.problems.append(str(of_file(e) or e))

    def take(self, found: Removed, remove_it: Callable[[], int | None]) -> None:
        """Remove one thing, unless this is a dry run; note what is free then."""
        with self.going_on():
            freed = None if self.dry_run else remove_it()
            size = found.bytes if freed is None else freed
            self.removed.append(Removed(found.kind, found.place, found.id, size))


def clean(
    catalog: Catalog, settings: Settings, older_s: float, *, dry_run: bool = False
) -> Cleaned:
    """Remove what no run has needed for `older_s` seconds; one clean at a time in a project."""
    cleaned = Cleaned(older_s, dry_run)

    def clean_place(name: str) -> Cleaned:
        part, host = Cleaned(older_s, dry_run), host_of(settings, name)
        with part.going_on(), closing(backend_for(settings, name)) as backend:
            _clean_place(part, catalog, backend, place_words(name, host) if host else HERE)
        return part

    with _alone(settings.home / ".cosmos"):
        for part in at_once(["local", *host_names(settings)], clean_place).values():
            if isinstance(part, Cleaned):
                cleaned.removed += part.removed
                cleaned.problems += part.problems
        with cleaned.going_on():
            _clean_pictures(cleaned, catalog, settings)
            _clean_daemon_log(cleaned, settings)
        with cleaned.going_on():
            _clean_loads(cleaned, catalog)
        with cleaned.going_on():
            _clean_dagster(cleaned, catalog, settings)
    return cleaned


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with room_for(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with (directory / "clean.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the process
        yield


def _clean_place(cleaned: Cleaned, catalog: Catalog, backend: Backend, place: str) -> None:
    """Ended orders first: their inputs are links to files that nothing else may use then."""
    # orders before rows: an order that is launched meanwhile has its row already
    for order in _not_needed(catalog, backend.kept()):
        if order.idle_s >= cleaned.older_s:
            found = Removed("ended orders", place, order.order_id, order.bytes)
            cleaned.take(found, partial(_discard, backend, order))
    for file in backend.sweep(cleaned.older_s, dry_run=cleaned.dry_run):
        if file.problem:
            cleaned.problems.append(f"On {place}: {file.problem}")
        else:
            cleaned.removed.append(Removed(file.kind, place, file.name, file.bytes))


def _discard(backend: Backend, order: KeptOrder) -> None:
    try:
        backend.discard(order.order_id)
    except StateError:
        raise StateError(f"Order {order.order_id} runs again and was not removed.") from None


def _not_needed(catalog: Catalog, kept: Sequence[KeptOrder]) -> list[KeptOrder]:
    """The orders of this catalog's runs from which no run will take anything any more."""
    ids = {run_id for order in kept for run_id in order.run_ids}
    rows = catalog.find_runs(ids)
    known = rows.keys() | deleted_runs(catalog, ids - rows.keys())
    return [
        order
        for order in kept
        if order.run_ids
        and not of_host(order.order_id)
        and known.issuperset(order.run_ids)
        and not any(_needs(rows[r], order.order_id) for r in order.run_ids if r in rows)
    ]


def _needs(run: Run, order_id: str) -> bool:
    """Whether a run may still take its result from an order (see `runs/claim.py`)."""
    if run.batch_id != order_id:
        return False  # a later attempt has an order of its own
    if run.status == "completed":
        return False
    return run.status != "failed" or run.error_kind in MAY_STILL_RUN | INTERRUPTED


def _clean_pictures(cleaned: Cleaned, catalog: Catalog, settings: Settings) -> None:
    """Pictures of scenes that the catalog does not have any more."""
    directory = settings.outputs / "previews" / "scenes"
    # pictures before rows, as above
    pictures = [p for p in directory.glob("*.webp") if not p.is_symlink()]
    wanted = {scene_preview(settings, scene.key) for scene in catalog.list_scenes()}
    for path in sorted(set(pictures) - wanted):
        _take_file(cleaned, PICTURES, path)


def _clean_daemon_log(cleaned: Cleaned, settings: Settings) -> None:
    """The log of an earlier daemon; the present one is as long as `daemon.LOG_BYTES` at most."""
    path = settings.dagster_dir / "daemon.log.1"
    if path.is_file() and not path.is_symlink():
        _take_file(cleaned, DAEMON_LOG, path)


def _clean_loads(cleaned: Cleaned, catalog: Catalog) -> None:
    """What the catalog remembers of ended loads, the oldest first; their runs stay."""
    before = utc_now() - timedelta(seconds=cleaned.older_s)
    found = catalog.old_loads(before, MOST_LOADS)
    gone = found if cleaned.dry_run else catalog.remove_loads(found, before)
    cleaned.removed += [Removed("ended loads", HERE, load_id, 0) for load_id in gone]


def _take_file(cleaned: Cleaned, kind: str, path: Path) -> None:
    with cleaned.going_on():
        found = path.lstat()
        if time.time() - found.st_mtime >= cleaned.older_s:
            thing = Removed(kind, HERE, path.name, found.st_size)
            cleaned.take(thing, partial(remove, path))


def _clean_dagster(cleaned: Cleaned, catalog: Catalog, settings: Settings) -> None:
    """Dagster's records, if the project has any."""
    if not (settings.dagster_dir / "dagster.yaml").exists():
        return
    from cosmos_pipelines.resources.instance import open_instance
    from cosmos_pipelines.resources.old_runs import find_old, remove_old

    runs = {run.id: run for run in catalog.list_runs(limit=None)}
    open_runs = [r for r in runs.values() if r.status not in ("completed", "failed", "cancelled")]
    unfinished = {one for run in open_runs for one in (run.id, run.dagster_run_id) if one}
    prompts = {prompt.id for prompt in catalog.list_prompts(limit=None)}
    known = {*runs, *prompts, *(scene.key for scene in catalog.list_scenes())}
    with open_instance(settings) as instance:
        old = list(find_old(instance, cleaned.older_s, unfinished=unfinished, known=known))
        for one in old:
            found = Removed(one.kind, HERE, one.id, one.bytes)
            cleaned.take(found, partial(remove_old, instance, one))
