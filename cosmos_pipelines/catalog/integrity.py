"""Comparing the catalog with the files, and mending what can be mended without losing anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
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
"""Where directories without a row are moved: below the outputs root, for the user to look at."""


@dataclass(frozen=True)
class Problem:
    """Something that is not as the catalog says. `fix`: what `fix()` would do, if anything."""

    kind: Kind
    id: str
    path: str | None
    message: str
    fix: Fix | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def verify(catalog: Catalog, outputs_root: Path, deep: bool = False) -> list[Problem]:
    """What is wrong with results; `deep` also compares each one's hash and checks the database.

    Scenes are looked at in `runs/scene_checks.py`. Changes nothing. Runs that are being executed
    are left alone.
    """
    # directories before rows: a run that is entered meanwhile must not look like a stray directory
    root = outputs_root.resolve()
    directories = sorted(p for p in root.iterdir() if _ours(p)) if root.is_dir() else []
    known = {run.id: run for run in catalog.list_runs(limit=None)}
    problems = list(_database(catalog)) if deep else []
    for run in known.values():
        problems += _run(run, outputs_root, deep)
    for directory in directories:
        problems += _directory(directory, known.get(folders.run_id_of(directory) or ""))
    return problems


def fix(catalog: Catalog, problems: Iterable[Problem]) -> list[Problem]:
    """Mend what has a `fix` and is still as it was found; returns what has been mended.

    Only what is worth nothing is removed: unfinished files, and what the user deleted.

    Raises:
        CosmosError: a file cannot be moved or removed.
    """
    return [problem for problem in problems if problem.fix is not None and _mend(catalog, problem)]


def _ours(path: Path) -> bool:
    return path.name.startswith(("run_", folders.ASIDE)) and (path.is_dir() or path.is_symlink())


def _run(run: Run, outputs_root: Path, deep: bool) -> Iterator[Problem]:
    if run.status in ACTIVE and not run.leased(utc_now()):
        message = f"It says {run.status}, but no process looks after it any more."
        yield Problem("lost", run.id, None, message)
    if run.status != "completed":
        return
    names = [name for name in ("video", "file") if run.outputs.get(name)]
    if not names:
        yield Problem("no_outputs", run.id, None, "It is completed without a result.")
    for name in names:
        yield from _output(run, str(run.outputs[name]), outputs_root, deep)


def _output(run: Run, recorded: str, outputs_root: Path, deep: bool) -> Iterator[Problem]:
    file = folders.output_file(outputs_root, run.id, recorded)
    if file is None or not file.is_file():
        again = "Its result is gone; the same settings and seed make it again."
        yield Problem("output_missing", run.id, str(file or recorded), again)
        return
    size, expected = file.stat().st_size, run.outputs.get("size")
    if expected is not None and size != expected:
        message = f"Its result has {size:,} bytes instead of {expected:,}."
        yield Problem("output_size", run.id, str(file), message)
    elif deep and run.outputs.get("sha256") not in (None, sha256_of(file)):
        yield Problem("output_hash", run.id, str(file), "Its result is not what was recorded.")


def _directory(directory: Path, run: Run | None) -> Iterator[Problem]:
    name, path = directory.name, str(directory)
    if name.startswith(folders.ASIDE):
        what: tuple[str, Fix] = (
            ("A deletion was interrupted before its row was deleted.", "put back")
            if run
            else ("A deletion was interrupted after its row was deleted.", "remove")
        )
        yield Problem("set_aside", run.id if run else name, path, *what)
    elif run is None:
        message = "No run of the catalog has this directory."
        yield Problem("stray_directory", name, path, message, "move to .stray")
    elif run.status not in ACTIVE and not directory.is_symlink():
        for part in _parts(directory):
            yield Problem("leftover", run.id, str(part), "An unfinished file.", "remove")


def _parts(directory: Path) -> Iterator[Path]:
    """What is not whole below a directory: files, links, and directories with all in them."""
    for place, inside, names in os.walk(directory):
        yield from (Path(place, name) for name in (*inside, *names) if name.endswith(PART))
        inside[:] = [name for name in inside if not name.endswith(PART)]


def _database(catalog: Catalog) -> Iterator[Problem]:
    if not catalog.sqlite:
        return  # PostgreSQL checks its pages as it reads them
    with catalog.read() as connection:
        said = list(connection.execute(text("PRAGMA quick_check")).scalars())
        said += [f"{row[0]} row {row[1]} refers to a missing {row[2]} row"
                 for row in connection.execute(text("PRAGMA foreign_key_check"))]  # fmt: skip
    for line in said:
        if line != "ok":
            yield Problem("database", catalog.where, catalog.where, line)


def _mend(catalog: Catalog, problem: Problem) -> bool:
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
    """Rename, to `wanted.2`, `wanted.3` ... where the name is taken."""
    target, number = wanted, 1
    while target.exists() or target.is_symlink():
        number += 1
        target = wanted.with_name(f"{wanted.name}.{number}")
    try:
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    except OSError as e:
        raise CosmosError(f"{path} cannot be moved to {target}: {e.strerror}.") from e
