"""Delete a prompt or a run with all that was made from it: first a plan, then the deletion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Column, Connection, delete, select, update

from cosmos_pipelines.catalog import folders
from cosmos_pipelines.catalog.database import Transaction
from cosmos_pipelines.catalog.prompts import COLUMNS as PROMPT_COLUMNS
from cosmos_pipelines.catalog.prompts import prompt_of
from cosmos_pipelines.catalog.records import ACTIVE, Prompt, Run, utc_now
from cosmos_pipelines.catalog.runs import COLUMNS as RUN_COLUMNS
from cosmos_pipelines.catalog.runs import run_of
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.catalog.tables import deletions, prompts, runs
from cosmos_pipelines.errors import CosmosError, StateError
from cosmos_pipelines.files import remove

Kind = Literal["prompt", "run"]


@dataclass(frozen=True)
class Deletion:
    """The plan of a deletion: rows (oldest first), directories, bytes."""

    kind: Kind
    id: str
    prompts: tuple[Prompt, ...]
    runs: tuple[Run, ...]
    directories: tuple[Path, ...]
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "kind": self.kind,
            "id": self.id,
            "prompts": [{"id": p.id, "name": p.name, "text": p.text} for p in self.prompts],
            "runs": [
                {"id": r.id, "model_type": r.model_type, "status": r.status} for r in self.runs
            ],
            "directories": [str(directory) for directory in self.directories],
            "bytes": self.bytes,
        }

    def execute(self, catalog: Catalog) -> None:
        """Delete exactly the rows and directories of the plan.

        The directories are renamed, the rows deleted in one transaction, then the directories
        removed: if the rows cannot be deleted, every directory gets its name back. A process that
        dies in between leaves `.deleting-*`, which `integrity` puts back or removes.

        Raises:
            StateError: a run or prompt of the plan was added or started after the plan.
            CosmosError: a directory cannot be moved or removed.
        """
        aside: list[tuple[Path, Path]] = []
        with _put_back(aside), catalog.write() as tx:
            found = _family(tx.connection, self.kind, self.id)
            _refuse_active(tx.connection, found[1])
            if {row.id for rows in found for row in rows} != self._ids():
                raise StateError(
                    f"The runs or prompts of {self.kind} {self.id} have changed meanwhile.",
                    hint="Give the command again to see what would be deleted.",
                )
            for directory in self.directories:
                _set_aside(directory, aside)
            _delete_rows(tx, *found)
        for _, moved in aside:
            remove(moved, hint=folders.REMOVED_LATER)

    def _ids(self) -> set[str]:
        return {p.id for p in self.prompts} | {r.id for r in self.runs}


def plan_deletion(catalog: Catalog, kind: Kind, thing_id: str, outputs_root: Path) -> Deletion:
    """Return the plan for the deletion of a prompt or a run.

    With a prompt go its runs and the prompts that were enhanced from it; with a run go the upscales
    of its video. A prompt that an enhance run made is kept when that run is deleted.

    Raises:
        UnknownId: there is no such prompt or run.
        StateError: a run of the plan, or another run of its order, is active.
    """
    thing = catalog.get_prompt(thing_id) if kind == "prompt" else catalog.get_run(thing_id)
    with catalog.read() as connection:
        family = _family(connection, kind, thing.id)
        _refuse_active(connection, family[1])
    root = outputs_root.resolve()
    places = (folders.run_directory(root, run.id) for run in family[1])
    directories = tuple(place for place in places if place.is_dir() or place.is_symlink())
    size = sum(folders.size_of(directory) for directory in directories)
    return Deletion(kind, thing.id, *family, directories, size)


def deleted_runs(catalog: Catalog, run_ids: Iterable[str]) -> set[str]:
    """Return those of these ids that are of deleted runs."""
    statement = select(deletions.c.id).where(deletions.c.kind == "run")
    return {row.id for row in catalog.rows_with(statement, deletions.c.id, run_ids)}


def _family(
    connection: Connection, kind: Kind, thing_id: str
) -> tuple[tuple[Prompt, ...], tuple[Run, ...]]:
    """Return the rows to delete, oldest first."""
    prompt_ids, run_ids = [], [thing_id]
    if kind == "prompt":
        prompt_ids = _descend(connection, prompts.c.parent_prompt_id, prompts.c.id, [thing_id])
        of_prompts = select(runs.c.id).where(runs.c.prompt_id.in_(prompt_ids))
        run_ids = list(connection.execute(of_prompts).scalars())
    run_ids = _descend(connection, runs.c.parent_run_id, runs.c.id, run_ids)
    prompt_rows = connection.execute(
        select(*PROMPT_COLUMNS).where(prompts.c.id.in_(prompt_ids))
    ).all()
    run_rows = connection.execute(select(*RUN_COLUMNS).where(runs.c.id.in_(run_ids))).all()
    return (
        tuple(sorted((prompt_of(row) for row in prompt_rows), key=lambda p: p.created_at)),
        tuple(sorted((run_of(row) for row in run_rows), key=lambda r: r.created_at)),
    )


def _descend(
    connection: Connection, parent: Column[Any], key: Column[Any], first: list[str]
) -> list[str]:
    """Return `first` and all their descendants."""
    found, fresh = list(first), list(first)
    while fresh:
        children = connection.execute(select(key).where(parent.in_(fresh))).scalars()
        fresh = [child for child in children if child not in found]
        found += fresh
    return found


def _refuse_active(connection: Connection, found: Sequence[Run]) -> None:
    """Raise StateError for an active run, or if another run of its order is active.

    The other runs of the order still write to the log of a run that has ended.
    """
    now = utc_now()
    orders = select(runs.c.batch_id).where(runs.c.status.in_(ACTIVE)).distinct()
    active_orders = set(connection.execute(orders).scalars()) - {None}
    for run in found:
        if run.status in ACTIVE or run.leased(now):
            raise StateError(
                f"Run {run.id} is {run.status} and cannot be deleted.",
                hint=f"Stop the run first: `cosmos kill {run.id}`.",
            )
        if run.batch_id in active_orders:
            raise StateError(
                f"Run {run.id} cannot be deleted while other runs of its model load are active.",
                hint="See `cosmos status`.",
            )


@contextmanager
def _put_back(aside: list[tuple[Path, Path]]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for original, moved in reversed(aside):
            moved.rename(original)
        raise


def _set_aside(directory: Path, aside: list[tuple[Path, Path]]) -> None:
    moved = directory.with_name(folders.ASIDE + directory.name)
    try:
        directory.rename(moved)
    except FileNotFoundError:
        return
    except OSError as e:
        raise CosmosError(
            f"{directory} cannot be moved: {e.strerror}.", hint="Nothing was deleted."
        ) from e
    aside.append((directory, moved))


def _delete_rows(tx: Transaction, found: Sequence[Prompt], found_runs: Sequence[Run]) -> None:
    """Delete the rows, and record the deletions for systems that follow the changes."""
    run_ids, prompt_ids = [run.id for run in found_runs], [prompt.id for prompt in found]
    execute = tx.connection.execute
    for run_id in run_ids:
        made_by_run = (prompts.c.source_run_id == run_id) & prompts.c.id.not_in(prompt_ids)
        for prompt_id in execute(select(prompts.c.id).where(made_by_run)).scalars().all():
            values = {"source_run_id": None, **tx.stamp()}
            execute(update(prompts).where(prompts.c.id == prompt_id).values(values))
    execute(update(runs).where(runs.c.id.in_(run_ids)).values(parent_run_id=None))
    execute(delete(runs).where(runs.c.id.in_(run_ids)))
    execute(update(prompts).where(prompts.c.id.in_(prompt_ids)).values(parent_prompt_id=None))
    execute(delete(prompts).where(prompts.c.id.in_(prompt_ids)))
    for kind, gone_ids in (("run", run_ids), ("prompt", prompt_ids)):
        execute(delete(deletions).where(deletions.c.kind == kind, deletions.c.id.in_(gone_ids)))
        for deleted_id in gone_ids:
            row = {"kind": kind, "id": deleted_id, "revision": tx.revision(), "deleted_at": tx.now}
            execute(deletions.insert().values(row))
