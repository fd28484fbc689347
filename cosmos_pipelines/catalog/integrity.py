"""Compare the catalog with the files, and repair what can be repaired without any loss."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import text

from cosmos_pipelines.catalog import folders
from cosmos_pipelines.catalog.records import ACTIVE, Run, utc_now
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.files import PART, remove, sha256_of

Kind = Literal[
    "output_missing",
    "output_size",
    "output_hash",
    "no_outputs",
    "leftover",
    "stray_directory",
    "set_aside",
    "scene_missing",
    "scene_outdated",
    "scene_unusable",
    "place",
    "lost",
    "database",
]
Fix = Literal["remove", "put back", "move to .stray", "keep its place", "make anew"]
STRAY: Final = ".stray"
"""Directory below the outputs root for directories without a row, for the user to check."""


@dataclass(frozen=True)
class Problem:
    """A difference between catalog and files. `fix`: what `fix()` would do; None: nothing."""

    kind: Kind
    id: str
    path: str | None
    message: str
    fix: Fix | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def _lease_ended(run: Run) -> bool:
    return not run.leased(utc_now())


def verify(
    catalog: Catalog,
    outputs_root: Path,
    deep: bool = False,
    *,
    is_lost: Callable[[Run], bool] = _lease_ended,
) -> list[Problem]:
    """Return all problems of results; `deep` also compares each hash and checks the database.

    `is_lost`: whether no process executes an active run any more.

    Changes nothing. Does not check the files of active runs. `runs/scene_checks.py` checks scenes.
    """
    # directories before rows: a run that is added meanwhile must not look like a stray directory
    root = outputs_root.resolve()
    directories = sorted(p for p in root.iterdir() if _is_run_directory(p)) if root.is_dir() else []
    known = {run.id: run for run in catalog.list_runs(limit=None)}
    problems = list(_database(catalog)) if deep else []
    for run in known.values():
        if run.status in ACTIVE and is_lost(run):
            message = f"The run says {run.status}, but no process executes it any more."
            problems.append(Problem("lost", run.id, None, message))
        problems += _result(run, outputs_root, deep)
    for directory in directories:
        problems += _directory(directory, known.get(folders.run_id_of(directory) or ""))
    return problems


def fix(catalog: Catalog, problems: Iterable[Problem]) -> list[Problem]:
    """Repair each problem that has a `fix` and still exists; return the repaired problems.

    Removes only unfinished files, and files that the user has deleted.

    Raises:
        CosmosError: a file cannot be moved or removed.
    """
    return [p for p in problems if p.fix is not None and _repair(catalog, p)]


def _is_run_directory(path: Path) -> bool:
    return path.name.startswith(("run_", folders.ASIDE)) and (path.is_dir() or path.is_symlink())


def _result(run: Run, outputs_root: Path, deep: bool) -> Iterator[Problem]:
    if run.status != "completed":
        return
    names = [name for name in ("video", "file") if run.outputs.get(name)]
    if not names:
        yield Problem("no_outputs", run.id, None, "The run is completed without a result.")
    for name in names:
        yield from _output(run, str(run.outputs[name]), outputs_root, deep)


def _output(run: Run, recorded: str, outputs_root: Path, deep: bool) -> Iterator[Problem]:
    file = folders.output_file(outputs_root, run.id, recorded)
    if file is None or not file.is_file():
        again = "The run's result is missing; the same settings and seed make it again."
        yield Problem("output_missing", run.id, str(file or recorded), again)
        return
    size, expected = file.stat().st_size, run.outputs.get("size")
    if expected is not None and size != expected:
        message = f"The run's result has {size:,} bytes instead of {expected:,}."
        yield Problem("output_size", run.id, str(file), message)
    elif deep and run.outputs.get("sha256") not in (None, sha256_of(file)):
        message = "The run's result has another hash than recorded."
        yield Problem("output_hash", run.id, str(file), message)


def _directory(directory: Path, run: Run | None) -> Iterator[Problem]:
    name, path = directory.name, str(directory)
    if name.startswith(folders.ASIDE):
        what: tuple[str, Fix] = (
            ("A deletion was interrupted before the run's row was deleted.", "put back")
            if run
            else ("A deletion was interrupted after the run's row was deleted.", "remove")
        )
        yield Problem("set_aside", run.id if run else name, path, *what)
    elif run is None:
        message = "No run of the catalog has this directory."
        yield Problem("stray_directory", name, path, message, "move to .stray")
    elif run.status not in ACTIVE and not directory.is_symlink():
        for part in _parts(directory):
            yield Problem("leftover", run.id, str(part), "This file is unfinished.", "remove")


def _parts(directory: Path) -> Iterator[Path]:
    """Yield the unfinished files, links and directories below a directory."""
    for place, inside, names in os.walk(directory):
        yield from (Path(place, name) for name in (*inside, *names) if name.endswith(PART))
        inside[:] = [name for name in inside if not name.endswith(PART)]


def _database(catalog: Catalog) -> Iterator[Problem]:
    if not catalog.sqlite:
        return  # PostgreSQL checks its pages when it reads them
    with catalog.read() as connection:
        lines = list(connection.execute(text("PRAGMA quick_check")).scalars())
        lines += [f"{row[0]} row {row[1]} refers to a missing {row[2]} row"
                 for row in connection.execute(text("PRAGMA foreign_key_check"))]  # fmt: skip
    for line in lines:
        if line != "ok":
            yield Problem("database", catalog.where, catalog.where, line)


def _repair(catalog: Catalog, problem: Problem) -> bool:
    path = Path(problem.path or "")
    if not (path.exists() or path.is_symlink()):
        return False
    run_id = folders.run_id_of(path if problem.kind != "leftover" else _run_folder(path))
    run = catalog.find_run(run_id or "")
    if problem.kind == "leftover" and (run is None or run.status in ACTIVE):
        return False
    if problem.kind == "stray_directory" and run is not None:
        return False
    if problem.kind == "set_aside" and (run is None) != (problem.fix == "remove"):
        return False
    match problem.fix:
        case "remove":
            remove(path, hint=folders.REMOVED_LATER)
        case "put back":
            _move(path, path.with_name(path.name.removeprefix(folders.ASIDE)))
        case "move to .stray":
            _move(path, path.parent / STRAY / path.name)
    return True


def _run_folder(file: Path) -> Path:
    return next((p for p in file.parents if p.name.startswith("run_")), file)


def _move(path: Path, wanted: Path) -> None:
    """Rename to `wanted`, or to `wanted.2`, `wanted.3` ... if the name is in use."""
    target, number = wanted, 1
    while target.exists() or target.is_symlink():
        number += 1
        target = wanted.with_name(f"{wanted.name}.{number}")
    try:
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    except OSError as e:
        raise CosmosError(f"{path} cannot be moved to {target}: {e.strerror}.") from e
