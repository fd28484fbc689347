"""Run by Alembic: migrate in the connection and the transaction of migrate.py."""

from __future__ import annotations

from alembic import context  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
