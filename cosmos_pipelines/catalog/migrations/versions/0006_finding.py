"""Runs by recipe and engine in the order of time, for the wall.

Revision 0006.
"""

from __future__ import annotations

from alembic import op  # noqa: TID253 - Alembic itself loads this file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the indices."""
    op.create_index(op.f("ix_runs_recipe_created_at"), "runs", ["recipe", "created_at"])
    op.create_index(op.f("ix_runs_engine_created_at"), "runs", ["engine", "created_at"])
