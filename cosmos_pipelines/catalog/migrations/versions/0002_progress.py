"""How far a run is, as its model tells: sample, chunk, step.

Revision 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.columns import Json

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; existing runs have no progress."""
    op.add_column("runs", sa.Column("progress", Json()))
