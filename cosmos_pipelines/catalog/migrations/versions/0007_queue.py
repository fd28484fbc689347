"""The queue: the turn of each waiting run, the loads that runs are taken out in, the pauses.

Revision 0007.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.columns import Json, PlainText, UtcTime

revision = "0007"
down_revision = "0006"

STEP_S = 3600.0
"""Seconds of waiting that one step of priority was worth when this migration was written."""


def upgrade() -> None:
    """Add columns and tables; what waits keeps its order."""
    op.add_column("runs", sa.Column("turn", sa.Double()))
    op.add_column("runs", sa.Column("load_id", PlainText()))
    op.add_column("runs", sa.Column("ordered_by", PlainText()))
    op.add_column("runs", sa.Column("any_place", sa.Integer(), nullable=False, server_default="0"))
    _fill_turns(op.get_bind())
    op.drop_index("ix_runs_queue", "runs")
    queued = sa.text("queued_at IS NOT NULL")
    op.create_index(
        "ix_runs_queue", "runs", ["status", "turn", "id"],
        sqlite_where=queued, postgresql_where=queued,
    )  # fmt: skip
    op.create_index(op.f("ix_runs_load_id"), "runs", ["load_id"])
    op.create_table(
        "loads",
        sa.Column("id", PlainText(), nullable=False),
        sa.Column("state", PlainText(), nullable=False),
        sa.Column("place", PlainText(), nullable=False),
        sa.Column("engine", PlainText(), nullable=False),
        sa.Column("model_type", PlainText(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("mode", PlainText(), nullable=False),
        sa.Column("run_ids", Json(), nullable=False),
        sa.Column("plan", Json(), nullable=False),
        sa.Column("claimed_by", PlainText()),
        sa.Column("claimed_until", UtcTime()),
        sa.Column("dagster_run_id", PlainText()),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("started_at", UtcTime()),
        sa.Column("ended_at", UtcTime()),
        sa.Column("said", PlainText()),
        sa.CheckConstraint("state IN ('claimed', 'started', 'ended')", name=op.f("ck_loads_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loads")),
    )
    op.create_index(op.f("ix_loads_state_created_at"), "loads", ["state", "created_at"])
    op.create_table(
        "pauses",
        sa.Column("scope", PlainText(), nullable=False),
        sa.Column("paused_at", UtcTime(), nullable=False),
        sa.Column("paused_by", PlainText(), nullable=False),
        sa.Column("reason", PlainText()),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_pauses")),
    )


def _fill_turns(connection: sa.Connection) -> None:
    runs = sa.table(
        "runs",
        sa.column("id", PlainText()),
        sa.column("status", PlainText()),
        sa.column("queued_at", UtcTime()),
        sa.column("priority", sa.Integer()),
        sa.column("turn", sa.Double()),
    )
    waiting = sa.select(runs.c.id, runs.c.queued_at, runs.c.priority).where(
        runs.c.status == "pending", runs.c.queued_at.is_not(None)
    )
    rows: list[dict[str, Any]] = [
        {"of": row.id, "new": _turn(row.queued_at, row.priority)}
        for row in connection.execute(waiting)
    ]
    if rows:
        change = sa.update(runs).where(runs.c.id == sa.bindparam("of"))
        connection.execute(change.values(turn=sa.bindparam("new")), rows)


def _turn(queued_at: datetime, priority: int) -> float:
    return queued_at.timestamp() - STEP_S * priority
