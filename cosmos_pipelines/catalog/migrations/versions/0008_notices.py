"""What people are told, each thing once; and the time of GPUs by order, for budgets.

Revision 0008. The database itself writes down the time of an order, by a trigger: it stays when a
run is executed again or deleted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.columns import PlainText, UtcTime

revision = "0008"
down_revision = "0007"

_TIME = """INSERT INTO gpu_times
    (order_id, backend, engine, gpus, started_at, ended_at)
    {select}
    ON CONFLICT (order_id) DO UPDATE SET
    started_at = {least}(gpu_times.started_at, excluded.started_at),
    ended_at = {most}(gpu_times.ended_at, excluded.ended_at)"""
# what is no whole number counts as one GPU: a trigger that fails would keep the run from its end
_GPUS = {
    "sqlite": "CASE json_type({of}execution_config, '$.num_gpus') WHEN 'integer' "
    "THEN json_extract({of}execution_config, '$.num_gpus') ELSE 1 END",
    "postgresql": "CASE WHEN {of}execution_config ->> 'num_gpus' ~ '^[0-9]{{1,4}}$' "
    "THEN ({of}execution_config ->> 'num_gpus')::integer ELSE 1 END",
}
_NEW = """SELECT coalesce(new.batch_id, new.id), new.backend, new.engine, {gpus},
    new.started_at, new.completed_at WHERE true"""
_OLD = """SELECT coalesce(batch_id, id), min(backend), min(engine), max({gpus}),
    min(started_at), max(completed_at) FROM runs
    WHERE started_at IS NOT NULL AND completed_at IS NOT NULL GROUP BY 1"""
_LEAST_MOST = {"sqlite": ("min", "max"), "postgresql": ("least", "greatest")}


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
        sa.Column("order_id", PlainText(), nullable=False),
        sa.Column("backend", PlainText(), nullable=False),
        sa.Column("engine", PlainText(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_gpu_times")),
    )
    op.create_index(op.f("ix_gpu_times_ended_at"), "gpu_times", ["ended_at"])
    connection = op.get_bind()
    for statement in _statements(connection.dialect.name):
        connection.exec_driver_sql(statement)


def _statements(dialect: str) -> list[str]:
    least, most = _LEAST_MOST[dialect]
    new, old = (_GPUS[dialect].format(of=of) for of in ("new.", ""))
    each = _TIME.format(select=_NEW.format(gpus=new), least=least, most=most)
    all_runs = _TIME.format(select=_OLD.format(gpus=old), least=least, most=most)
    ended = "new.started_at IS NOT NULL AND new.completed_at IS NOT NULL"
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER gpu_times_update AFTER UPDATE OF completed_at ON runs "
            f"WHEN {ended} BEGIN {each}; END",
            all_runs,
        ]
    return [
        "CREATE FUNCTION catalog_gpu_times() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {each}; RETURN NULL; END $$",
        f"CREATE TRIGGER gpu_times_update AFTER UPDATE OF completed_at ON runs FOR EACH ROW "
        f"WHEN ({ended}) EXECUTE FUNCTION catalog_gpu_times()",
        all_runs,
    ]
