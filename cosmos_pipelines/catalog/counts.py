"""Numbers of prompts and runs for pages: each is one query with an index; no row is read whole."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.runs import COLUMNS, run_of
from cosmos_pipelines.catalog.tables import prompts, runs


class Counts(Database):
    """The catalog's part for numbers, and for what belongs to a scene."""

    def count_queued(self) -> int:
        """Return the number of pending runs that the dispatcher may start."""
        return self._count(runs.c.status == "pending", runs.c.queued_at.is_not(None))

    def count_failed(self, since: datetime | None = None) -> int:
        """Return the number of failed runs; with `since` of those that failed after it."""
        after = () if since is None else (runs.c.completed_at > since,)
        return self._count(runs.c.status == "failed", *after)

    def counts_of_scenes(self, keys: Iterable[str]) -> dict[str, dict[str, int]]:
        """Return, by key, the number of `prompts` and of completed `videos` of scenes.

        Scenes without a prompt are left out.
        """
        keys = list(keys)
        number = func.count().label("number")
        asked = select(prompts.c.scene, number).group_by(prompts.c.scene)
        found = {
            row.scene: {"prompts": row.number, "videos": 0}
            for row in self.rows_with(asked, prompts.c.scene, keys)
        }
        made = (
            select(prompts.c.scene, number)
            .join(runs, runs.c.prompt_id == prompts.c.id)
            .where(runs.c.status == "completed", runs.c.model_type == "transfer")
            .group_by(prompts.c.scene)
        )
        for row in self.rows_with(made, prompts.c.scene, keys):
            found[row.scene]["videos"] = row.number
        return found

    def runs_of_scene(self, key: str) -> list[Run]:
        """Return all runs of prompts for a scene, newest first."""
        of = select(*COLUMNS).join(prompts, prompts.c.id == runs.c.prompt_id)
        newest = of.where(prompts.c.scene == key).order_by(runs.c.created_at.desc(), runs.c.id)
        return [run_of(row) for row in self.rows(newest)]

    def _count(self, *conditions: ColumnElement[Any]) -> int:
        statement = select(func.count().label("number")).select_from(runs).where(*conditions)
        return int(self.rows(statement)[0].number)
