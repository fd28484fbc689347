"""The first tables, and the full-text index of prompts.

Revision 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op  # noqa: TID253 - Alembic itself loads this file

from cosmos_pipelines.catalog.columns import Json, PlainText, UtcTime

revision = "0001"
down_revision = None  # the first


def upgrade() -> None:
    """Make everything."""
    _others()
    _prompts()
    _runs()
    op.execute("INSERT INTO revisions (id, value) VALUES (1, 0)")
    for statement in _SEARCH[op.get_bind().dialect.name]:
        op.execute(statement)


def _others() -> None:
    op.create_table(
        "revisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
        sa.CheckConstraint("id = 1", name=op.f("ck_revisions_single")),
    )
    op.create_table(
        "deletions",
        sa.Column("kind", PlainText(), nullable=False),
        sa.Column("id", PlainText(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("deleted_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_deletions")),
        sa.UniqueConstraint("revision", name=op.f("uq_deletions_revision")),
    )
    op.create_table(
        "scenes",
        sa.Column("key", PlainText(), nullable=False),
        sa.Column("path", PlainText(), nullable=False),
        sa.Column("digest", PlainText(), nullable=False),
        sa.Column("facts", Json(), nullable=False),
        sa.Column("description", PlainText()),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_scenes")),
        sa.UniqueConstraint("revision", name=op.f("uq_scenes_revision")),
    )
    op.create_table(
        "recipes",
        sa.Column("name", PlainText(), nullable=False),
        sa.Column("engine", PlainText(), nullable=False),
        sa.Column("model_type", PlainText(), nullable=False),
        sa.Column("config", Json(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.CheckConstraint(
            "model_type IN ('transfer', 'enhance', 'upscale')", name=op.f("ck_recipes_model_type")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_recipes")),
    )


def _prompts() -> None:
    op.create_table(
        "prompts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", PlainText(), nullable=False),
        sa.Column("text", PlainText(), nullable=False),
        sa.Column("negative_prompt", PlainText()),
        sa.Column("scene", PlainText(), nullable=False),
        sa.Column("name", PlainText(), nullable=False),
        sa.Column("parameters", Json(), nullable=False),
        sa.Column("parent_prompt_id", PlainText()),
        sa.Column("source_run_id", PlainText()),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_prompt_id"],
            ["prompts.id"],
            name=op.f("fk_prompts_parent_prompt_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_prompts")),
        sa.UniqueConstraint("id", name=op.f("uq_prompts_id")),
        sa.UniqueConstraint("revision", name=op.f("uq_prompts_revision")),
    )
    op.create_index(op.f("ix_prompts_created_at"), "prompts", ["created_at"])
    op.create_index(op.f("ix_prompts_name"), "prompts", ["name"])
    op.create_index(op.f("ix_prompts_parent_prompt_id"), "prompts", ["parent_prompt_id"])
    op.create_index(op.f("ix_prompts_scene_created_at"), "prompts", ["scene", "created_at"])
    op.create_index(op.f("ix_prompts_source_run_id"), "prompts", ["source_run_id"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", PlainText(), nullable=False),
        sa.Column("prompt_id", PlainText()),
        sa.Column("recipe", PlainText()),
        sa.Column("model_type", PlainText(), nullable=False),
        sa.Column("status", PlainText(), nullable=False),
        sa.Column("engine", PlainText(), nullable=False),
        sa.Column("backend", PlainText(), nullable=False),
        sa.Column("parent_run_id", PlainText()),
        sa.Column("execution_config", Json(), nullable=False),
        sa.Column("outputs", Json(), nullable=False),
        sa.Column("log_path", PlainText()),
        sa.Column("error_kind", PlainText()),
        sa.Column("error_message", PlainText()),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("started_at", UtcTime()),
        sa.Column("completed_at", UtcTime()),
        sa.Column("dagster_run_id", PlainText()),
        sa.Column("batch_id", PlainText()),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("container_id", PlainText()),
        sa.Column("container_name", PlainText()),
        sa.Column("host", PlainText()),
        sa.Column("image_digest", PlainText()),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("rating", sa.Integer()),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("queued_at", UtcTime()),
        sa.Column("leased_by", PlainText()),
        sa.Column("leased_until", UtcTime()),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("source", Json(), nullable=False),
        sa.Column("notes", Json(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "model_type IN ('transfer', 'enhance', 'upscale')", name=op.f("ck_runs_model_type")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'uploading', 'running', 'downloading', "
            "'completed', 'failed', 'cancelled')",
            name=op.f("ck_runs_status"),
        ),
        sa.CheckConstraint(
            "(leased_by IS NULL) = (leased_until IS NULL)", name=op.f("ck_runs_lease")
        ),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_runs_attempt")),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name=op.f("ck_runs_rating")),
        sa.ForeignKeyConstraint(
            ["parent_run_id"], ["runs.id"], name=op.f("fk_runs_parent_run_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompts.id"], name=op.f("fk_runs_prompt_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("revision", name=op.f("uq_runs_revision")),
    )
    op.create_index(op.f("ix_runs_batch_id"), "runs", ["batch_id"])
    op.create_index(op.f("ix_runs_created_at"), "runs", ["created_at"])
    op.create_index(op.f("ix_runs_parent_run_id"), "runs", ["parent_run_id"])
    op.create_index(op.f("ix_runs_prompt_id_created_at"), "runs", ["prompt_id", "created_at"])
    op.create_index(op.f("ix_runs_status_created_at"), "runs", ["status", "created_at"])


_SEARCH = {
    # An external-content FTS5 table keeps the words only; triggers keep it in step. bm25 ranks.
    "sqlite": (
        """CREATE VIRTUAL TABLE prompts_fts USING fts5(
            name, text, content='prompts', content_rowid='number', tokenize='porter unicode61')""",
        """CREATE TRIGGER prompts_fts_insert AFTER INSERT ON prompts BEGIN
            INSERT INTO prompts_fts (rowid, name, text) VALUES (new.number, new.name, new.text);
        END""",
        """CREATE TRIGGER prompts_fts_delete AFTER DELETE ON prompts BEGIN
            INSERT INTO prompts_fts (prompts_fts, rowid, name, text)
            VALUES ('delete', old.number, old.name, old.text);
        END""",
        """CREATE TRIGGER prompts_fts_update AFTER UPDATE OF number, name, text ON prompts BEGIN
            INSERT INTO prompts_fts (prompts_fts, rowid, name, text)
            VALUES ('delete', old.number, old.name, old.text);
            INSERT INTO prompts_fts (rowid, name, text) VALUES (new.number, new.name, new.text);
        END""",
    ),
    # English stems without stop words, so that both databases find the same. PostgreSQL's parser
    # would read `a/b` as a file and `a.b` as a host; punctuation becomes blanks first.
    "postgresql": (
        """CREATE TEXT SEARCH DICTIONARY catalog_english
            (TEMPLATE = snowball, LANGUAGE = english)""",
        "CREATE TEXT SEARCH CONFIGURATION catalog_english (COPY = english)",
        """ALTER TEXT SEARCH CONFIGURATION catalog_english
            ALTER MAPPING REPLACE english_stem WITH catalog_english""",
        """ALTER TABLE prompts ADD COLUMN words tsvector GENERATED ALWAYS AS (
            setweight(to_tsvector('catalog_english',
                translate(name, '!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~', repeat(' ', 32))), 'A') ||
            setweight(to_tsvector('catalog_english',
                translate(text, '!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~', repeat(' ', 32))), 'D')
        ) STORED""",
        "CREATE INDEX ix_prompts_words ON prompts USING gin (words)",
    ),
}
