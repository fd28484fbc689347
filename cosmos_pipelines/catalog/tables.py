"""The catalog's tables at the newest migration; a test checks that tables and migrations agree.

In the migrations alone are the triggers, and the indices of the search, the queue, the ratings and
of texts in the order of their bytes.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
)

from cosmos_pipelines.catalog.columns import Json, PlainText, UtcTime
from cosmos_pipelines.catalog.records import LOAD_STATES, MODEL_TYPES, STATUSES

HEAD = "0009"
"""The newest migration. Compared on every open, so that Alembic is loaded only if needed."""

VERSION_TABLE = "catalog_version"
"""Not Alembic's usual name: Dagster may keep its version in the same PostgreSQL database."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{v}'" for v in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


revisions = Table(
    "revisions",
    metadata,
    # one row; every writing transaction changes it first (see database.py)
    Column("id", Integer, primary_key=True),
    Column("value", Integer, nullable=False),
    CheckConstraint("id = 1", name="single"),
)

deletions = Table(
    "deletions",
    metadata,
    Column("kind", PlainText, primary_key=True),
    Column("id", PlainText, primary_key=True),
    Column("revision", Integer, nullable=False, unique=True),
    Column("deleted_at", UtcTime, nullable=False),
)

scenes = Table(
    "scenes",
    metadata,
    Column("key", PlainText, primary_key=True),
    Column("path", PlainText, nullable=False),
    Column("digest", PlainText, nullable=False),
    Column("facts", Json, nullable=False),
    Column("description", PlainText),
    Column("sources", PlainText),
    Column("rendered_in", PlainText),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("revision", Integer, nullable=False, unique=True),
)

prompts = Table(
    "prompts",
    metadata,
    # the full-text index refers to rows by this number; SQLite's own rowid changes on VACUUM
    Column("number", Integer, primary_key=True),
    Column("id", PlainText, nullable=False, unique=True),
    Column("text", PlainText, nullable=False),
    Column("negative_prompt", PlainText),
    Column("scene", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("parent_prompt_id", ForeignKey("prompts.id", ondelete="RESTRICT"), index=True),
    Column("source_run_id", PlainText, index=True),
    Column("created_at", UtcTime, nullable=False, index=True),
    Column("updated_at", UtcTime, nullable=False),
    Column("revision", Integer, nullable=False, unique=True),
    Index(None, "scene", "created_at"),
    Index(None, "name", "created_at"),
)

recipes = Table(
    "recipes",
    metadata,
    Column("name", PlainText, primary_key=True),
    Column("engine", PlainText, nullable=False),
    Column("model_type", PlainText, nullable=False),
    Column("config", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    _one_of("model_type", MODEL_TYPES),
)

runs = Table(
    "runs",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("prompt_id", ForeignKey("prompts.id", ondelete="RESTRICT")),
    Column("recipe", PlainText),
    Column("model_type", PlainText, nullable=False),
    Column("status", PlainText, nullable=False),
    Column("engine", PlainText, nullable=False),
    Column("backend", PlainText, nullable=False),
    Column("parent_run_id", ForeignKey("runs.id", ondelete="RESTRICT"), index=True),
    Column("execution_config", Json, nullable=False),
    Column("outputs", Json, nullable=False),
    Column("log_path", PlainText),
    Column("error_kind", PlainText),
    Column("error_message", PlainText),
    Column("created_at", UtcTime, nullable=False, index=True),
    Column("started_at", UtcTime),
    Column("completed_at", UtcTime),
    Column("dagster_run_id", PlainText),
    Column("batch_id", PlainText, index=True),
    Column("priority", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("container_id", PlainText),
    Column("container_name", PlainText),
    Column("host", PlainText),
    Column("image_digest", PlainText),
    Column("exit_code", Integer),
    Column("rating", Integer),
    Column("tags", Json, nullable=False),
    Column("queued_at", UtcTime),
    Column("leased_by", PlainText),
    Column("leased_until", UtcTime),
    Column("updated_at", UtcTime, nullable=False),
    Column("source", Json, nullable=False),
    Column("notes", Json, nullable=False),
    Column("progress", Json),
    Column("request_key", PlainText, unique=True, index=True),
    Column("turn", Double),
    Column("load_id", PlainText, index=True),
    Column("ordered_by", PlainText),
    Column("any_place", Integer, nullable=False, server_default="0"),
    Column("revision", Integer, nullable=False, unique=True),
    _one_of("status", STATUSES),
    _one_of("model_type", MODEL_TYPES),
    CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),
    CheckConstraint("attempt >= 1", name="attempt"),
    CheckConstraint("(leased_by IS NULL) = (leased_until IS NULL)", name="lease"),
    Index(None, "status", "created_at"),
    Index(None, "prompt_id", "created_at"),
    Index(None, "recipe", "created_at"),
    Index(None, "engine", "created_at"),
    Index(None, "model_type", "created_at"),
    Index(None, "model_type", "status", "created_at"),
)

run_tags = Table(
    "run_tags",
    metadata,
    # the tags of runs once more, for look-ups; triggers keep it in step with `runs.tags`
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", PlainText, primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "tag", "created_at"),
)

run_counts = Table(
    "run_counts",
    metadata,
    # the number of runs in each status, which triggers keep
    Column("status", PlainText, primary_key=True),
    Column("number", Integer, nullable=False),
)

loads = Table(
    "loads",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("state", PlainText, nullable=False),
    Column("place", PlainText, nullable=False),
    Column("engine", PlainText, nullable=False),
    Column("model_type", PlainText, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("mode", PlainText, nullable=False),
    Column("run_ids", Json, nullable=False),
    Column("plan", Json, nullable=False),
    Column("claimed_by", PlainText),
    Column("claimed_until", UtcTime),
    Column("dagster_run_id", PlainText),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("said", PlainText),
    _one_of("state", LOAD_STATES),
    Index(None, "state", "created_at"),
)

pauses = Table(
    "pauses",
    metadata,
    Column("scope", PlainText, primary_key=True),
    Column("paused_at", UtcTime, nullable=False),
    Column("paused_by", PlainText, nullable=False),
    Column("reason", PlainText),
)

workers = Table(
    "workers",
    metadata,
    # who works on the queue without a daemon; `owner`: the process, as in leases
    Column("owner", PlainText, primary_key=True),
    Column("person", PlainText, nullable=False),
    Column("machine", PlainText, nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    # what people are told, each thing once; `open`: it goes on (a host is away, a queue is at work)
    Column("key", PlainText, primary_key=True),
    Column("kind", PlainText, nullable=False),
    Column("said", PlainText, nullable=False),
    Column("open", Integer, nullable=False),
    Column("state", PlainText, nullable=False),
    Column("happened_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    _one_of("state", ("waits", "sent", "untold")),
    Index(None, "state", "sent_at"),
)

gpu_times = Table(
    "gpu_times",
    metadata,
    # when GPUs worked, by run and attempt; a trigger keeps it when a run ends
    Column("run_id", PlainText, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("order_id", PlainText, nullable=False, index=True),
    Column("batch", PlainText, index=True),
    Column("backend", PlainText, nullable=False),
    Column("engine", PlainText, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=False, index=True),
)
