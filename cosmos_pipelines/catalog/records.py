"""The catalog's rows for the rest of the program: frozen records without a database."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:  # pydantic costs as much as the whole catalog
    from cosmos_pipelines.operations import ModelType

Status = Literal[
    "pending", "uploading", "running", "downloading", "completed", "failed", "cancelled"
]
STATUSES: Final[tuple[Status, ...]] = (
    "pending",
    "uploading",
    "running",
    "downloading",
    "completed",
    "failed",
    "cancelled",
)
ACTIVE: Final[tuple[Status, ...]] = ("uploading", "running", "downloading")
"""A process executes the run, or did when the run was last changed."""

LoadState = Literal["claimed", "started", "ended"]
LOAD_STATES: Final[tuple[LoadState, ...]] = ("claimed", "started", "ended")
"""`claimed`: it is prepared; `started`: its order was, or is being, given to its place."""

MODEL_TYPES: Final[tuple[ModelType, ...]] = ("transfer", "enhance", "upscale")


def utc_now() -> datetime:
    """Return the current time, aware, UTC."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Return ISO 8601 in UTC with microseconds and `Z`, a text that sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_the_minute(moment: datetime) -> str:
    """Return a time for people: `2026-05-31 18:04 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


class _Record:
    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; times as ISO 8601 UTC ending in `Z`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {k: iso(v) if isinstance(v, datetime) else v for k, v in values.items()}


@dataclass(frozen=True, kw_only=True)
class Prompt(_Record):
    """A text for a scene. `parent_prompt_id`, `source_run_id`: the origin of an enhanced prompt."""

    id: str
    text: str
    negative_prompt: str | None
    scene: str
    name: str
    parameters: dict[str, Any]
    parent_prompt_id: str | None
    source_run_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class SceneRow(_Record):
    """A scene directory with its last measured facts: by pass, size, rate, frames, hash."""

    key: str
    path: str
    """Relative to the project's home if it lies below it; so are all paths here."""
    digest: str
    facts: dict[str, Any]
    description: str | None
    created_at: datetime
    updated_at: datetime
    sources: str | None = None
    """By which the files that it was made of are known again: a hash of names, sizes and times."""
    rendered_in: str | None = None
    """The directory that it was prepared from, if that is another."""


@dataclass(frozen=True, kw_only=True)
class Recipe(_Record):
    """A named, reusable set of an operation's settings."""

    name: str
    engine: str
    model_type: ModelType
    config: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Run(_Record):
    """One execution of an operation. File names in `outputs` are relative to the project's home."""

    id: str
    prompt_id: str | None
    recipe: str | None
    model_type: ModelType
    status: Status
    engine: str
    backend: str
    parent_run_id: str | None
    execution_config: dict[str, Any]
    outputs: dict[str, Any]
    log_path: str | None
    error_kind: str | None
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    dagster_run_id: str | None
    batch_id: str | None
    priority: int
    attempt: int
    container_id: str | None
    container_name: str | None
    host: str | None
    image_digest: str | None
    exit_code: int | None
    rating: int | None
    tags: list[str]
    queued_at: datetime | None
    leased_by: str | None
    leased_until: datetime | None
    updated_at: datetime
    source: dict[str, Any]
    notes: list[str]
    progress: dict[str, Any] | None = None
    """`done` of `total`, and `text`: the progress of the run now, or at its end."""
    turn: float | None = None
    """The place in the queue, smaller first; see `add_runs.turn_of`. None: it was never queued."""
    load_id: str | None = None
    """The load in which a dispatcher has taken the run out of the queue last."""
    ordered_by: str | None = None
    """The person who ordered the run, `name@machine`."""
    any_place: int = 0
    """1: the queue chooses the place; `backend` is `auto` while the run waits."""

    @property
    def duration_s(self) -> float | None:
        """Seconds from the start of the run's order to the end of the run, also if it failed."""
        if self.started_at is None or self.completed_at is None:
            return None
        return (self.completed_at - self.started_at).total_seconds()

    def leased(self, now: datetime) -> bool:
        """Whether a process holds the lease of this run at `now`."""
        return self.leased_by is not None and (
            self.leased_until is not None and self.leased_until > now
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields and `duration_s` as plain JSON values."""
        return {**super().as_dict(), "duration_s": self.duration_s}


@dataclass(frozen=True, kw_only=True)
class Load(_Record):
    """Runs that a dispatcher has taken out of the queue together: one order, one model load."""

    id: str
    state: LoadState
    place: str
    """The backend: `local`, `ssh_docker` or the name of a `[hosts.NAME]` table."""
    engine: str
    model_type: ModelType
    gpus: int
    mode: str
    """`strict`, or `mixed`: see `batching`."""
    run_ids: list[str]
    plan: dict[str, Any]
    """What the planner said of the load: why these runs, expected seconds, what that saves."""
    claimed_by: str | None
    claimed_until: datetime | None
    dagster_run_id: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    said: str | None
    """Why it ended without having been started."""


@dataclass(frozen=True, kw_only=True)
class Pause(_Record):
    """A part of the queue of which nothing is started."""

    scope: str
    """`all`, `host:NAME` (a place) or `engine:NAME`."""
    paused_at: datetime
    paused_by: str
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Worker(_Record):
    """A process that works on the queue without a daemon."""

    owner: str
    """The process, as in leases."""
    person: str
    """For whom it works, `name@machine`."""
    machine: str
    began_at: datetime
    seen_at: datetime
    """Its last sign of life."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One row that was written or deleted; `row` is None for a deleted row."""

    kind: Literal["prompt", "run", "scene"]
    id: str
    revision: int
    row: Prompt | Run | SceneRow | None


@dataclass(frozen=True)
class MarkStep:
    """What was changed of some runs, all in the same way: what an undo takes back."""

    ids: list[str]
    rating: tuple[int | None, int | None] | None
    """Before and after; None: it was not changed."""
    added: list[str]
    removed: list[str]
