"""Look-ups that read what they answer with and no more: by beginning, type, rating, tag, status.

Revision 0004. The database itself keeps the two new tables in step, by triggers.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.columns import PlainText, UtcTime

revision = "0004"
down_revision = "0003"

_TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER run_tags_insert AFTER INSERT ON runs WHEN new.tags <> '[]' BEGIN
            INSERT INTO run_tags (run_id, tag, created_at)
            SELECT DISTINCT new.id, value, new.created_at FROM json_each(new.tags);
        END""",
        """CREATE TRIGGER run_tags_update AFTER UPDATE OF tags ON runs
        WHEN new.tags <> old.tags BEGIN
            DELETE FROM run_tags WHERE run_id = new.id;
            INSERT INTO run_tags (run_id, tag, created_at)
            SELECT DISTINCT new.id, value, new.created_at FROM json_each(new.tags);
        END""",
        """CREATE TRIGGER run_counts_insert AFTER INSERT ON runs BEGIN
            UPDATE run_counts SET number = number + 1 WHERE status = new.status;
        END""",
        """CREATE TRIGGER run_counts_delete AFTER DELETE ON runs BEGIN
            UPDATE run_counts SET number = number - 1 WHERE status = old.status;
        END""",
        """CREATE TRIGGER run_counts_update AFTER UPDATE OF status ON runs
        WHEN new.status <> old.status BEGIN
            UPDATE run_counts SET number = number - 1 WHERE status = old.status;
            UPDATE run_counts SET number = number + 1 WHERE status = new.status;
        END""",
        """INSERT INTO run_tags (run_id, tag, created_at)
            SELECT DISTINCT runs.id, value, created_at FROM runs, json_each(runs.tags)""",
    ),
    # once for each statement, not for each row: a thousand new versions of one row in a
    # transaction make each further one slow
    "postgresql": (
        """CREATE FUNCTION catalog_run_tags() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            DELETE FROM run_tags WHERE run_id = NEW.id;
            INSERT INTO run_tags (run_id, tag, created_at)
            SELECT DISTINCT NEW.id, tag, NEW.created_at
            FROM jsonb_array_elements_text(NEW.tags) AS tag;
            RETURN NULL;
        END $$""",
        """CREATE TRIGGER run_tags_insert AFTER INSERT ON runs FOR EACH ROW
            WHEN (NEW.tags <> '[]') EXECUTE FUNCTION catalog_run_tags()""",
        """CREATE TRIGGER run_tags_update AFTER UPDATE OF tags ON runs FOR EACH ROW
            WHEN (NEW.tags <> OLD.tags) EXECUTE FUNCTION catalog_run_tags()""",
        """CREATE FUNCTION catalog_run_counts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'INSERT' THEN
                UPDATE run_counts SET number = number + more
                FROM (SELECT status AS of, count(*) AS more FROM after GROUP BY status) AS found
                WHERE status = of;
            ELSIF TG_OP = 'DELETE' THEN
                UPDATE run_counts SET number = number - less
                FROM (SELECT status AS of, count(*) AS less FROM before GROUP BY status) AS found
                WHERE status = of;
            ELSE
                UPDATE run_counts SET number = number + more
                FROM (
                    SELECT status AS of, sum(one) AS more
                    FROM (SELECT status, 1 AS one FROM after
                          UNION ALL SELECT status, -1 FROM before) AS changed
                    GROUP BY status HAVING sum(one) <> 0
                ) AS found
                WHERE status = of;
            END IF;
            RETURN NULL;
        END $$""",
        """CREATE TRIGGER run_counts_insert AFTER INSERT ON runs REFERENCING NEW TABLE AS after
            FOR EACH STATEMENT EXECUTE FUNCTION catalog_run_counts()""",
        """CREATE TRIGGER run_counts_delete AFTER DELETE ON runs REFERENCING OLD TABLE AS before
            FOR EACH STATEMENT EXECUTE FUNCTION catalog_run_counts()""",
        """CREATE TRIGGER run_counts_update AFTER UPDATE ON runs
            REFERENCING OLD TABLE AS before NEW TABLE AS after
            FOR EACH STATEMENT EXECUTE FUNCTION catalog_run_counts()""",
        """INSERT INTO run_tags (run_id, tag, created_at)
            SELECT DISTINCT runs.id, tag, created_at
            FROM runs, jsonb_array_elements_text(runs.tags) AS tag""",
        # the usual order of a database may leave out `_`: ranges of texts need that of the bytes
        'CREATE INDEX ix_runs_id_bytes ON runs (id COLLATE "C")',
        'CREATE INDEX ix_prompts_id_bytes ON prompts (id COLLATE "C")',
        'CREATE INDEX ix_prompts_name_bytes ON prompts (name COLLATE "C")',
        'CREATE INDEX ix_scenes_key_bytes ON scenes (key COLLATE "C")',
        "CREATE INDEX ix_prompts_name_words ON prompts USING gin (ts_filter(words, '{a}'))",
    ),
}

_STATUSES = "pending", "uploading", "running", "downloading", "completed", "failed", "cancelled"


def upgrade() -> None:
    """Make the indices, and the two tables from the runs that there are."""
    connection = op.get_bind()
    _make_tables(connection)
    for statement in _TRIGGERS[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    _make_indices()


def _make_tables(connection: sa.Connection) -> None:
    op.create_table(
        "run_tags",
        sa.Column("run_id", PlainText(), nullable=False),
        sa.Column("tag", PlainText(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_tags_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "tag", name=op.f("pk_run_tags")),
    )
    op.create_index(op.f("ix_run_tags_tag_created_at"), "run_tags", ["tag", "created_at"])
    counts: Any = op.create_table(
        "run_counts",
        sa.Column("status", PlainText(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("status", name=op.f("pk_run_counts")),
    )
    runs = sa.table("runs", sa.column("status"))
    found = sa.select(runs.c.status, sa.func.count()).group_by(runs.c.status)
    number_of = {row[0]: row[1] for row in connection.execute(found)}
    rows = [{"status": status, "number": number_of.get(status, 0)} for status in _STATUSES]
    connection.execute(counts.insert(), rows)


def _make_indices() -> None:
    op.drop_index(op.f("ix_prompts_name"), "prompts")
    op.create_index(op.f("ix_prompts_name_created_at"), "prompts", ["name", "created_at"])
    op.create_index(op.f("ix_runs_model_type_created_at"), "runs", ["model_type", "created_at"])
    op.create_index(
        op.f("ix_runs_model_type_status_created_at"), "runs", ["model_type", "status", "created_at"]
    )
    rated = sa.text("rating IS NOT NULL")
    op.create_index(
        op.f("ix_runs_rating_created_at"), "runs", ["rating", "created_at"],
        sqlite_where=rated, postgresql_where=rated,
    )  # fmt: skip
    queued = sa.text("queued_at IS NOT NULL")
    op.create_index(
        "ix_runs_queue", "runs", ["status", sa.text("priority DESC"), "queued_at", "id"],
        sqlite_where=queued, postgresql_where=queued,
    )  # fmt: skip
