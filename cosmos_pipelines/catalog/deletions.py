"""The deletion of many runs: each with what was made of it; one that is refused stops no other."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cosmos_pipelines.catalog.deletion import Deletion, plan_deletion
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, StateError
from cosmos_pipelines.files import files_below


@dataclass
class Deletions:
    """What would go for many runs, no run twice; and why some cannot be deleted, by their ids."""

    planned: list[Deletion] = field(default_factory=list)
    refused: dict[str, CosmosError] = field(default_factory=dict)

    def files(self) -> list[tuple[str, str, int]]:
        """Return each file that would go: of which run, its name there, and its bytes."""
        return [
            (directory.name.removeprefix("run_"), str(file.relative_to(directory)), size)
            for one in self.planned
            for directory in one.directories
            if not directory.is_symlink()
            for file in sorted(files_below(directory))
            if (size := file.lstat().st_size) is not None
        ]


def plan_deletions(catalog: Catalog, run_ids: Iterable[str], outputs_root: Path) -> Deletions:
    """Return the plan for the deletion of many runs; see `plan_deletion` for one."""
    found, going = Deletions(), dict[str, Deletion]()
    for run_id in dict.fromkeys(run_ids):
        if run_id in going:
            continue  # with the run that it was made of
        try:
            one = plan_deletion(catalog, "run", run_id, outputs_root)
        except CosmosError as e:
            found.refused[run_id] = e
        else:
            going |= {run.id: one for run in one.runs}
    found.planned = list({one.id: one for one in going.values()}.values())
    return found


def delete_runs(
    catalog: Catalog, run_ids: Iterable[str], outputs_root: Path, seen: Collection[str]
) -> Deletions:
    """Delete runs with what was made of them; `planned` are those that are gone.

    `seen`: the ids of all runs that whoever asks was told would go. A run of which more was made
    meanwhile is refused.
    """
    wanted = plan_deletions(catalog, run_ids, outputs_root)
    gone = Deletions(refused=wanted.refused)
    for one in wanted.planned:
        try:
            if new := [run.id for run in one.runs if run.id not in seen]:
                raise StateError(
                    f"Run {one.id} was not deleted: {', '.join(new)} was made of it meanwhile.",
                    hint="Delete it again to see all that would go.",
                )
            one.execute(catalog)
        except CosmosError as e:
            gone.refused[one.id] = e
        else:
            gone.planned.append(one)
    return gone
