"""What a scene was made of, and where; paths below the project are relative to it.

Revision 0003.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context, op  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.columns import Json, PlainText

revision = "0003"
down_revision = "0002"

_SCENES = sa.table("scenes", sa.column("key"), sa.column("path"))
_RUNS = sa.table("runs", sa.column("id"), sa.column("source", Json()))


def upgrade() -> None:
    """Add the columns; scenes that there are tell of their sources when they are next looked at."""
    op.add_column("scenes", sa.Column("sources", PlainText()))
    op.add_column("scenes", sa.Column("rendered_in", PlainText()))
    if (home := context.config.attributes.get("home")) is not None:
        _make_relative(op.get_bind(), Path(home))


def _make_relative(connection: sa.Connection, home: Path) -> None:
    """Rows are changed without a new revision: what they mean stays the same."""
    for key, path in connection.execute(sa.select(_SCENES.c.key, _SCENES.c.path)).all():
        if (shorter := _below(home, path)) is not None:
            statement = sa.update(_SCENES).where(_SCENES.c.key == key).values(path=shorter)
            connection.execute(statement)
    for run_id, source in connection.execute(sa.select(_RUNS.c.id, _RUNS.c.source)).all():
        video = source.get("video") if isinstance(source, Mapping) else None
        if (shorter := _below(home, video)) is not None:
            values = {"source": {**source, "video": shorter}}
            connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run_id).values(values))


def _below(home: Path, path: Any) -> str | None:
    """A path relative to home, if it lies below it."""
    if not isinstance(path, str) or not Path(path).is_relative_to(home):
        return None
    return Path(path).relative_to(home).as_posix()
