"""What came of a prompt or of an enhance run: the prompts that were made of it, by an index."""

from __future__ import annotations

from sqlalchemy import select

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.prompts import COLUMNS, prompt_of
from cosmos_pipelines.catalog.records import Prompt
from cosmos_pipelines.catalog.tables import prompts


def prompts_made_by(database: Database, run_id: str, limit: int) -> list[Prompt]:
    """Return the prompts that an enhance run has made, oldest first."""
    statement = select(*COLUMNS).where(prompts.c.source_run_id == run_id)
    ordered = statement.order_by(prompts.c.created_at, prompts.c.id)
    return [prompt_of(row) for row in database.rows(ordered.limit(limit))]
