"""Prompts as a list shows them: a page of them, what was made of each, and their scenes.

Each is one query, or few.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, or_, select

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.prompts import COLUMNS, prompt_of
from cosmos_pipelines.catalog.records import Prompt
from cosmos_pipelines.catalog.tables import prompts, runs, scenes
from cosmos_pipelines.errors import InputError, shown


def prompts_after(
    database: Database, scene: str | None, after: str | None, limit: int
) -> tuple[list[Prompt], str | None]:
    """Return prompts, newest first, and the mark behind the last one; None: there are no more.

    `after`: the mark of the page before.

    Raises:
        InputError: `after` is no such mark.
    """
    statement = select(*COLUMNS).order_by(prompts.c.created_at.desc(), prompts.c.id)
    if scene is not None:
        statement = statement.where(prompts.c.scene == scene)
    if after is not None:
        moment, last = _mark(after)
        same = and_(prompts.c.created_at == moment, prompts.c.id > last)
        # the first condition alone lets an index begin at the right place
        statement = statement.where(prompts.c.created_at <= moment)
        statement = statement.where(or_(prompts.c.created_at < moment, same))
    found = [prompt_of(row) for row in database.rows(statement.limit(limit + 1))]
    page = found[:limit]
    end = page[-1] if page and len(found) > limit else None
    return page, f"{end.created_at.isoformat()}|{end.id}" if end else None


def made_of(database: Database, prompt_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return for each prompt: videos (finished), waiting (not ended), best (rating), children."""
    ids = list(prompt_ids)
    found = {one: {"videos": 0, "waiting": 0, "best": None, "children": 0} for one in ids}
    ended = ("completed", "failed", "cancelled")
    is_video = and_(runs.c.status == "completed", runs.c.model_type != "enhance")
    of_runs = select(
        runs.c.prompt_id,
        func.sum(case((is_video, 1), else_=0)).label("videos"),
        func.sum(case((runs.c.status.in_(ended), 0), else_=1)).label("waiting"),
        func.max(runs.c.rating).label("best"),
    ).group_by(runs.c.prompt_id)
    for row in database.rows_with(of_runs, runs.c.prompt_id, ids):
        counts = {"videos": int(row.videos), "waiting": int(row.waiting), "best": row.best}
        found[row.prompt_id].update(counts)
    parent = prompts.c.parent_prompt_id
    of_prompts = select(parent, func.count().label("number")).group_by(parent)
    for row in database.rows_with(of_prompts, parent, ids):
        found[row.parent_prompt_id]["children"] = row.number
    return found


def children_of(database: Database, prompt_id: str, limit: int) -> list[Prompt]:
    """Return prompts that were made of this one, newest first."""
    statement = select(*COLUMNS).where(prompts.c.parent_prompt_id == prompt_id)
    newest = statement.order_by(prompts.c.created_at.desc(), prompts.c.id).limit(limit)
    return [prompt_of(row) for row in database.rows(newest)]


def scene_names(database: Database) -> list[tuple[str, str | None]]:
    """Return key and description of all scenes, sorted by key; nothing that was measured."""
    statement = select(scenes.c.key, scenes.c.description).order_by(scenes.c.key)
    return [(row.key, row.description) for row in database.rows(statement)]


def _mark(after: str) -> tuple[datetime, str]:
    moment, _, last = after.partition("|")
    try:
        found = datetime.fromisoformat(moment)
        if found.tzinfo is None:
            raise ValueError
    except ValueError:
        raise InputError(f"{shown(after)} is no place in the list of prompts.") from None
    return found, last
