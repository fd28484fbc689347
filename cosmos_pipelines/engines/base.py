"""What an engine (a model family) must know. Pure: jobs in, orders and verdicts out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from cosmos_pipelines.frozen import Frozen
from cosmos_pipelines.operations.base import (
    Directory,
    Job,
    ModelType,
    Operation,
    Order,
    Outcome,
    Verdict,
)


class Progress(Frozen):
    """How far an order is, as read from one log line."""

    done: int
    total: int
    run_id: str | None = None
    text: str = ""
    made: bool = Field(False, description="this run's result is whole, and called finished")


class Cost(Frozen):
    """The work of a run, in the model's own units: time is proportional to `chunks * steps`."""

    chunks: int = Field(description="pieces of a clip that are generated one after the other")
    steps: int = Field(description="denoising steps of each")
    gpus: int = 1
    kind: str = Field("", description="what else makes a run slower: only like is compared")


class EngineOptions(Frozen):
    """What a project says of an engine in its table of cosmos.toml.

    Pixels depend on it only where it says so, and then a note with each run tells it.
    """


class HostSetup(Frozen):
    """What makes a bare GPU host ready for an engine: code, image, weights. Plain data."""

    repository: str = Field(description="URL of the model's code")
    commit: str = Field(pattern=r"[0-9a-f]{40}", description="the one that our facts are of")
    dockerfile: str = Field(description="its file below gpu_scripts")
    image: str = Field(description="tag of the image that it makes")
    smoke: tuple[str, ...] = Field(
        description="argv that imports what a run needs; says [SUCCESS] or [ERROR] for each"
    )
    manifest: str = Field(description="file below gpu_scripts that lists the checkpoints")
    directories: tuple[Directory, ...]
    env: Mapping[str, str] = {}


def own_directories(engine: str, *names: str) -> tuple[Directory, ...]:
    """An engine's directories where its set-up puts them, by their names."""
    return tuple(
        Directory(name=name, source=f"engines/{engine}/{name}", target=f"/cosmos/{name}")
        for name in names
    )


class Engine(ABC):
    """A model family. Everything peculiar to it lives in its one file."""

    name: ClassVar[str]
    label: ClassVar[str]
    """What users see; a simulated engine says so here."""
    simulated: ClassVar[bool] = False
    version: ClassVar[str]
    """Changes whenever the same order would give other pixels; part of the asset's code version."""
    operations: ClassVar[frozenset[ModelType]]
    ignores: ClassVar[Mapping[ModelType, frozenset[str]]] = {}
    """Fields that this engine accepts but does not use, told to the user."""
    defaults: ClassVar[Mapping[ModelType, Mapping[str, Any]]] = {}
    """This engine's value for fields that were left open (None)."""
    computes: ClassVar[frozenset[str]] = frozenset({"vis", "edge"})
    """Controls that it can compute from the scene's colour where the scene has no pass for them."""
    setup: ClassVar[HostSetup | None] = None
    """What it needs of a host; None: nothing but the image that settings name."""

    def with_options(self, options: EngineOptions | None) -> Engine:  # noqa: ARG002
        """This engine as a project wants it."""
        return self

    def directories(self) -> tuple[Directory, ...]:
        """What of a host an order of it sees: code, weights; where settings have put them."""
        return ()

    def settled(self, operation: Operation) -> Operation:
        """`operation` with this engine's value for each field that was left open."""
        values = self.defaults.get(operation.model_type, {})
        left = {name: v for name, v in values.items() if getattr(operation, name, v) is None}
        return operation.model_copy(update=left) if left else operation

    def cost(self, job: Job) -> Cost | None:  # noqa: ARG002
        """What the job costs in chunks and steps; None if that is not how it is counted."""
        return None

    def allowed_s(self, job: Job) -> int | None:  # noqa: ARG002
        """Seconds that the job may take where settings name none; None: whatever is usual."""
        return None

    @abstractmethod
    def check(self, job: Job) -> list[str]:
        """Refuse what the model would refuse, before any GPU second.

        Returns sentences worth knowing that do not prevent the run.

        Raises:
            InputError: this engine cannot do this job.
        """

    @abstractmethod
    def batch_key(self, job: Job) -> Hashable:
        """Jobs with equal keys may share one model load without changing a pixel."""

    def max_batch(self, job: Job) -> int:  # noqa: ARG002
        """The most jobs like this one in one order."""
        return 8

    @abstractmethod
    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """The order that does all `jobs`, which have one batch key."""

    @abstractmethod
    def progress(self, line: str) -> Progress | None:
        """Progress told by a log line, if it tells any."""

    def diagnose(
        self,
        outcome: Outcome,
        log_tail: str,
        run_id: str | None = None,  # noqa: ARG002
    ) -> Verdict:
        """Why an order that has not delivered failed, from its exit code and its log's end.

        With `run_id`: why this run of it has no result; its mates may have theirs.
        """
        if outcome.stopped == "cancelled":
            return Verdict(kind="cancelled", message="Stopped on request.")
        if outcome.stopped == "timeout":
            return Verdict(kind="timeout", message="Stopped: it took longer than allowed.")
        if outcome.exit_code is None:
            return Verdict(kind="lost", message="It vanished without leaving an exit code.")
        if outcome.exit_code == 143:
            return Verdict(kind="lost", message="Somebody else told it to stop (TERM), not we.")
        if re.search(r"No space left on device|ENOSPC|Errno 28", log_tail):
            return Verdict(kind="disk_full", message="No space left where the run was executed.")
        if outcome.exit_code == 137 or re.search(r"OutOfMemoryError|MemoryError", log_tail):
            return Verdict(kind="out_of_memory", message="Killed or failed for want of memory.")
        if outcome.exit_code in (125, 126, 127):
            return Verdict(
                kind="launch_failed", message=f"Could not start (exit code {outcome.exit_code})."
            )
        if outcome.exit_code == 0:
            return Verdict(kind="output_missing", message="It said success but left no result.")
        last = next((x.strip() for x in reversed(log_tail.splitlines()) if x.strip()), "no log")
        return Verdict(
            kind="model_failed", message=f"Ended with exit code {outcome.exit_code}: {last[:300]}"
        )
