"""The part of the API for those who follow the catalog and show runs: changes, cards, files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cosmos_pipelines.api.arguments import Id, Record, Words
from cosmos_pipelines.api.project import Project

RunFile = Literal["video", "preview", "thumbnail", "log"]


class Following(Project):
    """Follow the changes of one project, and show what was made."""

    def changes(self, cursor: str | None = None) -> Record:
        """Return what has changed since a cursor, and the next cursor.

        `changes`: kind (run, prompt, scene), id, and whether it was deleted; at most 500, so ask
        again while there are some. Without a cursor: none, and the cursor of now.
        """
        if cursor is None:
            return {"changes": [], "cursor": str(self.catalog.newest_revision())}
        found, cursor = self.catalog.changes_since(cursor)
        changes = [{"kind": c.kind, "id": c.id, "deleted": c.row is None} for c in found]
        return {"changes": changes, "cursor": cursor}

    def cards(self, run_ids: Words) -> list[Record]:
        """Return what a person wants to see of runs, in this order; unknown ids are left out.

        The fields of a run, and `prompt_name`, `text`, `scene`, `title` (a name from prompt, recipe
        and seed), `engine_label`, `simulated`, `seed`, and the `files` that it has.
        """
        from cosmos_pipelines.runs.cards import cards_of

        found = self.catalog.find_runs(run_ids)
        return cards_of(self.catalog, [found[wanted] for wanted in run_ids if wanted in found])

    def file_of_run(self, run_id: Id, what: RunFile) -> Path | None:
        """Return a file that a run has made, or its log; None if it has none.

        A file outside of the project's outputs, also through a link, counts as none.
        """
        from cosmos_pipelines.runs.cards import file_of

        run = self.catalog.find_run(run_id)
        return file_of(self.settings, run, what) if run else None

    def picture_of_scene(self, key: Id) -> Path | None:
        """Return a scene's moving picture; None if it has none."""
        from cosmos_pipelines.runs.cards import below_outputs
        from cosmos_pipelines.runs.inputs import scene_preview

        return below_outputs(self.settings, scene_preview(self.settings, key))
