"""What a sensor requested from Dagster, and what became of it.

Dagster creates no second run for a run key that it has, also if that run has ended; and it submits
all requests of a tick before it evaluates the sensor again, also after its daemon died in between.
So what is not there soon after it was requested will not come any more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, Literal, TypeVar

import dagster as dg

from cosmos_pipelines.resources.dagster_statuses import DAGSTER_OPEN

RUN_KEY: Final = "dagster/run_key"
TRIES: Final = 3
"""Dagster runs that are requested for the same work if they end before they have taken it."""

SOON_S: Final = 30
"""Seconds within which a requested Dagster run is there."""

State = Literal["waits", "unsent", "cancelled", "died", "idle", "gone"]
"""`waits`: in Dagster's queue, or at work. `unsent`: created, but not put into Dagster's queue;
a request with the same key does that. `idle`: ended as a success."""

_STATES: Final[Mapping[dg.DagsterRunStatus, State]] = {
    dg.DagsterRunStatus.CANCELED: "cancelled",
    dg.DagsterRunStatus.FAILURE: "died",
    dg.DagsterRunStatus.SUCCESS: "idle",
}
_SAID: Final[Mapping[State, str]] = {
    "waits": "waits in Dagster's queue",
    "unsent": "was created, but not put into Dagster's queue",
    "cancelled": "was cancelled before it took the run",
    "died": "failed before it took the run",
    "idle": "ended as a success without the run",
    "gone": "was deleted before it took the run",
}


@dataclass(frozen=True)
class Fate:
    """What became of one requested Dagster run."""

    state: State
    dagster_run_id: str | None = None

    @property
    def said(self) -> str:
        """A sentence about it, for the log and the reason of a run that it ends."""
        if self.dagster_run_id is None:
            return "Its Dagster run was never created, or was deleted at once."
        return f"Its Dagster run {self.dagster_run_id[:8]} {_SAID[self.state]}."


@dataclass(frozen=True)
class Asked:
    """What was requested, as the cursor of the sensor keeps it."""

    key: str | None
    """The run key of the Dagster run; None: it has ended, and another is due."""
    tries: int
    """Requests so far, with this one."""
    at: float = field(default_factory=time.time)
    """When it was requested, in seconds since 1970."""
    seen: str | None = None
    """The id of the Dagster run, once it was there."""


OneAsked = TypeVar("OneAsked", bound=Asked)


def read_cursor(context: dg.SensorEvaluationContext, kind: type[OneAsked]) -> dict[str, OneAsked]:
    """What `write_cursor` wrote; nothing if somebody has changed the cursor on the page."""
    try:
        entries = json.loads(context.cursor) if context.cursor else {}
        return {name: kind(**{"at": 0.0, **entry}) for name, entry in entries.items()}
    except (ValueError, TypeError, AttributeError) as e:
        context.log.warning(f"The cursor cannot be read, and a new one begins: {e}")
        return {}


def write_cursor(asked: Mapping[str, Asked]) -> str:
    """The cursor that says what was requested, by name."""
    return json.dumps({name: asdict(entry) for name, entry in asked.items()}, sort_keys=True)


def fates(instance: dg.DagsterInstance, asked: Iterable[Asked]) -> dict[str, Fate]:
    """What became of the Dagster runs that were requested, by run key; one query for all."""
    by_key = {entry.key: entry for entry in asked if entry.key}
    found = dagster_runs(instance, by_key)
    return {
        key: _fate(found[key]) if key in found else _unseen(entry) for key, entry in by_key.items()
    }


def dagster_runs(instance: dg.DagsterInstance, keys: Iterable[str]) -> dict[str, dg.DagsterRun]:
    """The newest Dagster run with each of these run keys; one that has not ended comes first."""
    found: dict[str, dg.DagsterRun] = {}
    if wanted := list(keys):
        for run in instance.get_runs(dg.RunsFilter(tags={RUN_KEY: wanted})):  # newest first
            before = found.setdefault(run.tags[RUN_KEY], run)
            if before.is_finished and not run.is_finished:
                found[run.tags[RUN_KEY]] = run
    return found


def _unseen(entry: Asked) -> Fate:
    if entry.seen is None and abs(time.time() - entry.at) < SOON_S:
        return Fate("waits")
    return Fate("gone", entry.seen)


def _fate(run: dg.DagsterRun) -> Fate:
    if run.status == dg.DagsterRunStatus.NOT_STARTED:
        return Fate("unsent", run.run_id)
    return Fate(_STATES.get(run.status, "waits"), run.run_id)


def unfinished(instance: dg.DagsterInstance, tag: str, value: str) -> Iterable[dg.DagsterRun]:
    """The Dagster runs with this tag that have not ended.

    Asked by status: with 100,000 Dagster runs of the same tag, Dagster's own query by tag and
    status reads them all.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=DAGSTER_OPEN))
    return [run for run in runs if run.tags.get(tag) == value]
