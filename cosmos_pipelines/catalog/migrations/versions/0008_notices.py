"""What people are told, each thing once; and the time of GPUs, for budgets.

Revision 0008. The database itself writes down the time of each attempt, by a trigger: it stays when
a run is executed again or deleted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.columns import PlainText, UtcTime

revision = "0008"
down_revision = "0007"

# what is no whole number counts as one GPU: a trigger that fails would keep the run from its end
_GPUS = {
    "sqlite": "CASE json_type({of}execution_config, '$.num_gpus') WHEN 'integer' "
    "THEN json_extract({of}execution_config, '$.num_gpus') ELSE 1 END",
    "postgresql": "CASE WHEN {of}execution_config ->> 'num_gpus' ~ '^[0-9]{{1,4}}$' "
    "THEN ({of}execution_config ->> 'num_gpus')::integer ELSE 1 END",
}
_BATCH = {
    "sqlite": "(SELECT min(value) FROM json_each({of}tags) WHERE substr(value, 1, 6) = 'batch:')",
    "postgresql": "(SELECT min(tag) FROM jsonb_array_elements_text({of}tags) AS tag "
    "WHERE substr(tag, 1, 6) = 'batch:')",
}
_TIME = """INSERT INTO gpu_times
    (run_id, attempt, order_id, batch, backend, engine, gpus, started_at, ended_at)
    SELECT {of}id, {of}attempt, coalesce({of}batch_id, {of}id), {batch}, {of}backend, {of}engine,
    {gpus}, {of}started_at, {of}completed_at {where} ON CONFLICT (run_id, attempt) DO NOTHING"""
_ENDED = "{of}started_at IS NOT NULL AND {of}completed_at IS NOT NULL"


def upgrade() -> None:
    """Make the tables, and fill that of the times from the runs that there are."""
    op.create_table(
        "notices",
        sa.Column("key", PlainText(), nullable=False),
        sa.Column("kind", PlainText(), nullable=False),
        sa.Column("said", PlainText(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("state", PlainText(), nullable=False),
        sa.Column("happened_at", UtcTime(), nullable=False),
        sa.Column("sent_at", UtcTime()),
        sa.CheckConstraint("state IN ('waits', 'sent', 'untold')", name=op.f("ck_notices_state")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_notices")),
    )
    op.create_index(op.f("ix_notices_state_sent_at"), "notices", ["state", "sent_at"])
    op.create_table(
        "gpu_times",
        sa.Column("run_id", PlainText(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("order_id", PlainText(), nullable=False),
        sa.Column("batch", PlainText()),
        sa.Column("backend", PlainText(), nullable=False),
        sa.Column("engine", PlainText(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "attempt", name=op.f("pk_gpu_times")),
    )
    for column in ("ended_at", "order_id", "batch"):
        op.create_index(op.f(f"ix_gpu_times_{column}"), "gpu_times", [column])
    connection = op.get_bind()
    for statement in _statements(connection.dialect.name):
        connection.exec_driver_sql(statement)


def _statements(dialect: str) -> list[str]:
    new, old = (
        _TIME.format(
            of=of,
            batch=_BATCH[dialect].format(of=of or "runs."),
            gpus=_GPUS[dialect].format(of=of),
            where=where,
        )
        for of, where in (("new.", "WHERE true"), ("", f"FROM runs WHERE {_ENDED.format(of='')}"))
    )
    ended = _ENDED.format(of="new.")
    if dialect == "sqlite":
        return [
            "CREATE TRIGGER gpu_times_update AFTER UPDATE OF completed_at ON runs "
            f"WHEN {ended} BEGIN {new}; END",
            old,
        ]
    return [
        "CREATE FUNCTION catalog_gpu_times() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {new}; RETURN NULL; END $$",
        "CREATE TRIGGER gpu_times_update AFTER UPDATE OF completed_at ON runs FOR EACH ROW "
        f"WHEN ({ended}) EXECUTE FUNCTION catalog_gpu_times()",
        old,
    ]
