"""Who works on the queue without a daemon.

Revision 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.columns import PlainText, UtcTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "workers",
        sa.Column("owner", PlainText(), nullable=False),
        sa.Column("person", PlainText(), nullable=False),
        sa.Column("machine", PlainText(), nullable=False),
        sa.Column("began_at", UtcTime(), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_workers")),
    )
