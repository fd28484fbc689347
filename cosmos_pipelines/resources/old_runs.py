"""Dagster's records of runs that ended long ago: what the page does not need is removed.

A Dagster run goes, by Dagster's own `delete_run`, if it concerns no run of the catalog that is
still to be executed, and no partition that shows it: one whose content it recorded last, or tried
to make and nothing later did. Of a Dagster run that stays, the events stay as well: its SQLite
file, which is mostly empty pages, is packed without losing any of them. What Dagster captured of
its output goes; a model's own log is in the outputs.
"""

from __future__ import annotations

import sqlite3
import stat
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import dagster as dg

from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.files import files_below, remove
from cosmos_pipelines.resources.dagster_private import events_file
from cosmos_pipelines.resources.dagster_statuses import DAGSTER_ENDED

Kind = Literal["dagster runs", "dagster files", "captured output"]

PACKED: Final = 512
"""Bytes of a page of a packed file. Dagster's tables and indices, most of them empty, take a page
each: 140 kB for a run of 12 events with pages of 4 KiB, 40 kB with these."""
SAVED: Final = 0.5
"""The part of a file's size that packing saves at least, as measured: 0.5 to 0.7."""
LOCKED_S: Final = 2.0
A_PAGE: Final = 500
"""Dagster runs of one query."""


@dataclass(frozen=True)
class OldRun:
    """Something of Dagster's that can go. `dagster files`: a run's file that can be packed."""

    kind: Kind
    id: str
    """The id of the Dagster run."""
    bytes: int
    """Disk space that it takes; an estimate for a file that can be packed."""


def find_old(
    instance: dg.DagsterInstance,
    older_s: float,
    *,
    unfinished: Collection[str],
    known: Collection[str],
) -> Iterator[OldRun]:
    """Yield what can go of the Dagster runs that ended at least `older_s` seconds ago.

    `unfinished`: ids of runs of the catalog that have not ended, and of their Dagster runs.
    `known`: keys of the catalog's scenes, prompts and runs, which are the partitions.
    """
    before = datetime.now(UTC) - timedelta(seconds=older_s)
    left = _left_by_deleted(instance, before)
    for run in _ended_before(instance, before):
        if not _named_in(run).isdisjoint(unfinished):
            continue
        file = events_file(instance, run.run_id)
        if captured := _size(_captured(instance, run.run_id)):
            yield OldRun("captured output", run.run_id, captured)
        if file is not None and not file.is_file():  # nothing says what it made
            continue
        if not _is_shown(instance, run, known):
            yield OldRun("dagster runs", run.run_id, _size(file))
        elif file is not None and not _is_packed(file):
            yield OldRun("dagster files", run.run_id, int(_size(file) * SAVED))
    yield from left


def remove_old(instance: dg.DagsterInstance, old: OldRun) -> int:
    """Remove it, or pack its file; return the bytes that are free now.

    An interrupted removal is ended by the next one: the run's file goes last.

    Raises:
        CosmosError: a file cannot be removed, or another process uses it.
    """
    run = instance.get_run_by_id(old.id)
    if run is not None and not run.is_finished:  # executed again under its id: not by our doing
        return 0
    if old.kind == "captured output":
        instance.compute_log_manager.delete_logs(prefix=[old.id])
        return old.bytes
    file = events_file(instance, old.id)
    if old.kind == "dagster files":
        return _pack(file) if file is not None and file.is_file() else 0
    freed = _size(file)
    if file is None:  # no file would tell the next clean of events without a run
        instance.event_log_storage.delete_events(old.id)
    instance.delete_run(old.id)
    for path in _with_companions(file):
        remove(path)
    return freed


def _ended_before(instance: dg.DagsterInstance, before: datetime) -> Iterator[dg.DagsterRun]:
    wanted = dg.RunsFilter(statuses=DAGSTER_ENDED, updated_before=before)
    cursor = None
    while runs := instance.get_runs(wanted, limit=A_PAGE, cursor=cursor):
        yield from runs
        cursor = runs[-1].run_id


def _left_by_deleted(instance: dg.DagsterInstance, before: datetime) -> list[OldRun]:
    """Files of runs that are not there any more. Files are looked for first: a run comes first."""
    file = events_file(instance, "")
    places = [Path(instance.storage_directory()), *([file.parent] if file else [])]
    paths = [path for place in places if place.is_dir() for path in place.iterdir()]
    old = [path for path in paths if _is_old(path, before)]
    found = []
    for path in old:
        name = path.name.removesuffix(".db")
        if instance.get_run_by_id(name) is None:
            kind: Kind = "captured output" if path.is_dir() else "dagster runs"
            found.append(OldRun(kind, name, _size(path)))
    return found


def _is_old(path: Path, before: datetime) -> bool:
    """Whether a file or directory has the name of a run and was not changed lately."""
    found = path.lstat()
    is_link = stat.S_ISLNK(found.st_mode)
    named = _is_id(path.name.removesuffix(".db"))
    return named and not is_link and found.st_mtime < before.timestamp()


def _named_in(run: dg.DagsterRun) -> set[str]:
    """The run's id, and all words of its configuration and tags: ids of the catalog's runs."""
    return {run.run_id, *run.tags.values(), *_words(run.run_config)}


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _words(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _words(one)


def _is_shown(instance: dg.DagsterInstance, run: dg.DagsterRun, known: Collection[str]) -> bool:
    """Whether the page shows this run as the last one that made, or tried to make, a partition."""
    wanted = {
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    }
    for event in instance.all_logs(run.run_id, of_type=wanted):
        told = event.dagster_event
        if told is None or told.asset_key is None:
            continue
        if told.partition is not None and told.partition not in known:
            continue
        partitions = None if told.partition is None else [told.partition]
        which = dg.AssetRecordsFilter(asset_key=told.asset_key, asset_partitions=partitions)
        last = instance.fetch_materializations(which, limit=1).records
        if not last or last[0].run_id == run.run_id or last[0].timestamp < event.timestamp:
            return True
    return False


def _captured(instance: dg.DagsterInstance, run_id: str) -> Path:
    """Where Dagster keeps what it captured of a run's output, if it does so on this machine."""
    return Path(instance.storage_directory(), run_id)


def _is_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def _with_companions(file: Path | None) -> list[Path]:
    """The files that SQLite keeps beside a database, and the database, which goes last."""
    if file is None:
        return []
    return [*(file.with_name(f"{file.name}{end}") for end in ("-wal", "-shm", "-journal")), file]


def _size(path: Path | None) -> int:
    """Bytes of a file with its companions, or below a directory; 0 for a link."""
    if path is None or path.is_symlink():
        return 0
    paths = files_below(path) if path.is_dir() else iter(_with_companions(path))
    return sum(one.lstat().st_size for one in paths if one.exists())


def _is_packed(file: Path) -> bool:
    """Whether the pages of an SQLite file are small: bytes 16 and 17 of its header."""
    with file.open("rb") as opened:
        header = opened.read(18)
    return int.from_bytes(header[16:18]) <= PACKED


def _pack(file: Path) -> int:
    """Write an SQLite file anew with small pages; return the bytes that this saves.

    SQLite does so in one transaction: after a power cut the file is as before, or packed.
    """
    before, since = _size(file), time.monotonic()
    try:
        with closing(sqlite3.connect(file, timeout=LOCKED_S, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = DELETE")  # pages of a WAL keep their size
            database.execute(f"PRAGMA page_size = {PACKED}")
            database.execute("VACUUM")
    except sqlite3.OperationalError as e:
        said = f"{file} cannot be packed after {time.monotonic() - since:.0f} s: {e}."
        raise CosmosError(
            said, hint="Another process reads it; the next `cosmos clean` packs it."
        ) from e
    return max(0, before - _size(file))
