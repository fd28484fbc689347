"""What an engine (a model family) must know. Pure: jobs in, orders and verdicts out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Self

from pydantic import Field

from cosmos_pipelines.errors import InputError
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


class RunProgress(Frozen):
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
    """What a project says of an engine in its table of cosmos.toml; each field has a default.

    Pixels depend on it only where it says so, and then a note with each run tells it.
    """


class HostSetup(Frozen):
    """What makes a bare GPU host ready for an engine: code, image, weights. Plain data."""

    repository: str = Field(description="URL of the model's code")
    commit: str = Field(pattern=r"[0-9a-f]{40}", description="the one that our facts are of")
    dockerfile: str = Field(description="its file: below gpu_scripts, or absolute")
    image: str = Field(description="tag of the image that it makes")
    smoke: tuple[str, ...] = Field(
        description="argv that imports what a run needs; says [SUCCESS] or [ERROR] for each"
    )
    manifest: str = Field(
        description="file that lists the checkpoints: below gpu_scripts, or absolute"
    )
    directories: tuple[Directory, ...]
    env: Mapping[str, str] = {}


def own_directories(engine: str, *names: str) -> tuple[Directory, ...]:
    """An engine's directories where its set-up puts them, by their names."""
    return tuple(
        Directory(name=name, source=f"engines/{engine}/{name}", target=f"/cosmos/{name}")
        for name in names
    )


class Engine(ABC):
    """A model family. Everything peculiar to it lives in its one file.

    What it does with each field of its operations is said in `uses`, `refuses` and `ignores`: every
    field is in exactly one of them (see `fields.faults_of`).
    """

    name: ClassVar[str]
    label: ClassVar[str]
    """What users see; a simulated engine says so here."""
    simulated: ClassVar[bool] = False
    version: ClassVar[str]
    """Changes whenever the same order would give other pixels; part of the asset's code version."""
    operations: ClassVar[frozenset[ModelType]]
    uses: ClassVar[Mapping[ModelType, Collection[str]]] = {}
    """Fields that the order depends on."""
    refuses: ClassVar[Mapping[ModelType, Mapping[str, str]]] = {}
    """Fields that it does not have: chosen all the same, they are an error.

    Each with the reason; empty where the model simply has no such thing.
    """
    ignores: ClassVar[Mapping[ModelType, Collection[str]]] = {}
    """Fields that it accepts but does not use: chosen all the same, they are told to the user."""
    defaults: ClassVar[Mapping[ModelType, Mapping[str, Any]]] = {}
    """This engine's value for fields that were left open (None)."""
    computes: ClassVar[Collection[str]] = frozenset({"vis", "edge"})
    """Controls that it can compute from the scene's colour where the scene has no pass for them."""
    setup: ClassVar[HostSetup | None] = None
    """What it needs of a host; None: nothing but the image that settings name."""
    options_type: ClassVar[type[EngineOptions] | None] = None
    """The fields of its table in cosmos.toml; None: it has no table."""
    options: EngineOptions

    def __init__(self, options: EngineOptions | None = None) -> None:
        self.options = (self.options_type or EngineOptions)() if options is None else options

    def with_options(self, options: EngineOptions | None) -> Self:
        """This engine as a project wants it; None: as it is."""
        if options is None:
            return self
        wanted = copy(self)
        wanted.options = options
        return wanted

    def directories(self) -> tuple[Directory, ...]:
        """What of a host an order of it sees: code, weights; where settings have put them."""
        return self.setup.directories if self.setup else ()

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

    def check(self, job: Job) -> list[str]:
        """Refuse what the model would refuse, before any GPU second.

        Returns sentences worth knowing that do not prevent the run.

        Raises:
            InputError: this engine cannot do this job.
        """
        operation = self.settled(job.operation)
        self._check_fields(operation)
        notes = self._check(job.model_copy(update={"operation": operation}))
        unused = sorted(operation.chosen() & {*self.ignores.get(operation.model_type, ())})
        return [*notes, *([f"{self.label} does not use: {', '.join(unused)}."] if unused else [])]

    def _check_fields(self, operation: Operation) -> None:
        """Refuse fields that were chosen and that this engine does not have."""
        kind, chosen = operation.model_type, operation.chosen()
        if refused := sorted(chosen & {*self.refuses.get(kind, {})}):
            reasons = "; ".join(why for name in refused if (why := self.refuses[kind][name]))
            raise InputError(
                f"{self.label} has no {', '.join(refused)}{reasons and f': {reasons}'}.",
                hint="Leave it out, or ask another engine.",
            )
        known = {*self.uses.get(kind, ()), *self.ignores.get(kind, ()), *operation.ours}
        if unknown := sorted(chosen - known):
            raise InputError(
                f"{self.label} does not say what it does with {', '.join(unknown)}.",
                hint="Leave it out, or get a version of this engine that knows it.",
            )

    def _check(self, job: Job) -> list[str]:  # noqa: ARG002
        """What `check` looks at besides fields that the engine has not; the operation is settled.

        Returns sentences worth knowing. Raises InputError.
        """
        return []

    def batch_key(self, job: Job) -> Hashable:
        """Jobs with equal keys may share one model load without changing a pixel."""
        return (self.name, job.run_id)

    def max_batch(self, job: Job) -> int:  # noqa: ARG002
        """The most jobs like this one in one order."""
        return 8

    @abstractmethod
    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """The order that does all `jobs`, which have one batch key."""

    def progress(self, line: str) -> RunProgress | None:  # noqa: ARG002
        """Progress told by a log line, if it tells any."""
        return None

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
