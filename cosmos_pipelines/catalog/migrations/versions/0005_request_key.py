"""The key of the request that asked for a run, so that asking again makes no second run.

Revision 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.columns import PlainText

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; existing runs have no key."""
    op.add_column("runs", sa.Column("request_key", PlainText()))
    op.create_index("ix_runs_request_key", "runs", ["request_key"], unique=True)
