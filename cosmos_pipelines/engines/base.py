"""The interface of an engine (a model family). Pure: jobs in, orders and verdicts out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import Field

from cosmos_pipelines.engines.gpu_faults import gpu_fault
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
    """The progress of an order, read from one log line."""

    done: int
    total: int
    run_id: str | None = None
    text: str = ""
    made: bool = Field(False, description="this run's result is whole and recorded as finished")


class Cost(Frozen):
    """The work of a run, in the model's own units: time is proportional to `chunks * steps`."""

    chunks: int = Field(description="pieces of a clip that are generated one after the other")
    steps: int = Field(description="denoising steps of each chunk")
    gpus: int = 1
    kind: str = Field("", description="other causes of longer runs: only equal kinds are compared")


class Mixed(NamedTuple):
    """How a job may share a load with jobs that have other controls."""

    key: Hashable
    """Jobs with equal keys may share such a load."""
    controls: tuple[str, ...]
    """The job's own controls; those of the other jobs get weight 0."""
    branch: float
    """The part of the job's time that each added control takes in addition."""


class EngineOptions(Frozen):
    """The settings of an engine in its table of cosmos.toml; each field has a default.

    An option changes pixels only if its description says so; then each run has a note on it.
    """


class HostSetup(Frozen):
    """The set-up of a GPU host for an engine: code, image, weights. Plain data."""

    repository: str = Field(description="URL of the model's code")
    commit: str = Field(pattern=r"[0-9a-f]{40}", description="the commit that this engine is for")
    dockerfile: str = Field(description="the Dockerfile: below gpu_scripts, or absolute")
    image: str = Field(description="tag of the image that the Dockerfile makes")
    smoke: tuple[str, ...] = Field(
        description="argv that imports what a run needs; prints [SUCCESS] or [ERROR] for each"
    )
    manifest: str = Field(
        description="file that lists the checkpoints: below gpu_scripts, or absolute"
    )
    directories: tuple[Directory, ...]
    env: Mapping[str, str] = {}


def own_directories(engine: str, *names: str) -> tuple[Directory, ...]:
    """Return an engine's directories at the places where its set-up puts them."""
    return tuple(
        Directory(name=name, source=f"engines/{engine}/{name}", target=f"/cosmos/{name}")
        for name in names
    )


class Engine(ABC):
    """A model family. All knowledge of a family is in the family's own file or folder.

    `uses`, `refuses` and `ignores` say what the engine does with each field of its operations:
    every field is in exactly one of them (see `fields.faults_of`).
    """

    name: ClassVar[str]
    label: ClassVar[str]
    """The engine's name for users; the label of a simulated engine says so."""
    simulated: ClassVar[bool] = False
    version: ClassVar[str]
    """Changes whenever the same order would give other pixels; part of the asset's code version."""
    operations: ClassVar[frozenset[ModelType]]
    uses: ClassVar[Mapping[ModelType, Collection[str]]] = {}
    """Fields that the order depends on."""
    refuses: ClassVar[Mapping[ModelType, Mapping[str, str]]] = {}
    """Fields that the engine does not have; a chosen value is an error.

    Each with the reason; empty if the model has nothing for this field.
    """
    ignores: ClassVar[Mapping[ModelType, Collection[str]]] = {}
    """Fields that the engine accepts but does not use; a chosen value gives a note to the user."""
    defaults: ClassVar[Mapping[ModelType, Mapping[str, Any]]] = {}
    """The engine's values for fields without a value (None)."""
    computes: ClassVar[Collection[str]] = frozenset({"vis", "edge"})
    """Controls that the engine can compute from the colour pass if their own pass is missing."""
    setup: ClassVar[HostSetup | None] = None
    """The set-up of a host for this engine; None: only the image of the settings is needed."""
    options_type: ClassVar[type[EngineOptions] | None] = None
    """The fields of the engine's table in cosmos.toml; None: the engine has no table."""
    options: EngineOptions

    def __init__(self, options: EngineOptions | None = None) -> None:
        self.options = (self.options_type or EngineOptions)() if options is None else options

    def with_options(self, options: EngineOptions | None) -> Self:
        """Return this engine with a project's options; None: without changes."""
        if options is None:
            return self
        engine = copy(self)
        engine.options = options
        return engine

    def directories(self) -> tuple[Directory, ...]:
        """Return the host's directories that an order sees (code, weights), as set in settings."""
        return self.setup.directories if self.setup else ()

    def own_checkpoint(self) -> str:
        """Return the path on the host of a checkpoint that settings name; "" if they name none."""
        return ""

    def weights(self, operation: Operation) -> str:  # noqa: ARG002
        """Return what settings choose as weights of an operation, to be kept with its run.

        "" stands for the weights that the engine takes by itself; others make other pixels.
        """
        return ""

    def memory_mib(self) -> int:
        """Return the memory in MiB that each GPU must have for a load; 0: it is not known."""
        return 0

    def settled(self, operation: Operation) -> Operation:
        """Return `operation` with this engine's value for each field without a value."""
        values = self.defaults.get(operation.model_type, {})
        missing = {name: v for name, v in values.items() if getattr(operation, name, v) is None}
        return operation.model_copy(update=missing) if missing else operation

    def cost(self, job: Job) -> Cost | None:  # noqa: ARG002
        """Return the work of a job in chunks and steps; None if the engine does not count so."""
        return None

    def allowed_s(self, job: Job) -> int | None:  # noqa: ARG002
        """Return a job's time limit in seconds if settings have none; None: the usual limit."""
        return None

    def check(self, job: Job) -> list[str]:
        """Refuse a job that the model would refuse, before the job uses a GPU.

        Returns notes for the user that do not prevent the run.

        Raises:
            InputError: this engine cannot do this job.
        """
        operation = self.settled(job.operation)
        self._check_fields(operation)
        notes = self._check(job.model_copy(update={"operation": operation}))
        unused = sorted(operation.chosen() & {*self.ignores.get(operation.model_type, ())})
        return [*notes, *([f"{self.label} does not use: {', '.join(unused)}."] if unused else [])]

    def _check_fields(self, operation: Operation) -> None:
        """Refuse chosen fields that this engine does not have."""
        kind, chosen = operation.model_type, operation.chosen()
        if refused := sorted(chosen & {*self.refuses.get(kind, {})}):
            reasons = "; ".join(why for name in refused if (why := self.refuses[kind][name]))
            raise InputError(
                f"{self.label} has no {', '.join(refused)}{reasons and f': {reasons}'}.",
                hint="Leave this setting out, or use another engine.",
            )
        known = {*self.uses.get(kind, ()), *self.ignores.get(kind, ()), *operation.ours}
        if unknown := sorted(chosen - known):
            raise InputError(
                f"{self.label} does not say what it does with {', '.join(unknown)}.",
                hint="Leave this setting out, or install a newer version of this engine.",
            )

    def _check(self, job: Job) -> list[str]:  # noqa: ARG002
        """Make the engine's own checks for `check`; the operation is settled.

        Returns notes for the user. Raises InputError.
        """
        return []

    def batch_key(self, job: Job) -> Hashable:
        """Return a key: jobs with equal keys may share one model load without changing a pixel."""
        return (self.name, job.run_id)

    def mixed(self, job: Job) -> Mixed | None:  # noqa: ARG002
        """Return how a job may share a load with jobs of other controls; None: it may not.

        Only for projects that ask for it, as it may change pixels (`[queue] mode = "mixed"`).
        """
        return None

    def max_batch(self, job: Job) -> int:  # noqa: ARG002
        """Return the highest number of such jobs in one order."""
        return 8

    @abstractmethod
    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """Return the order for all `jobs`, which have one batch key, or one key of `mixed`."""

    def progress(self, line: str) -> RunProgress | None:  # noqa: ARG002
        """Return the progress in a log line; None if the line has no progress."""
        return None

    def diagnose(
        self,
        outcome: Outcome,
        log_tail: str,
        run_id: str | None = None,  # noqa: ARG002
    ) -> Verdict:
        """Return why an order failed, from its exit code and the end of its log.

        With `run_id`: why this run has no result; the other runs of the batch may have results.
        """
        if outcome.stopped == "cancelled":
            return Verdict(kind="cancelled", message="Stopped on request.")
        if outcome.stopped == "timeout":
            return Verdict(kind="timeout", message="Stopped: the order took longer than allowed.")
        if outcome.stopped == "stalled":
            message = "Stopped: it wrote no line and its GPUs did nothing for too long."
            return Verdict(kind="stalled", message=message)
        if outcome.exit_code is None:
            return Verdict(kind="lost", message="The order ended without an exit code.")
        if outcome.exit_code == 143:
            return Verdict(kind="lost", message="Another program stopped the order (TERM).")
        if re.search(r"No space left on device|ENOSPC|Errno 28", log_tail):
            return Verdict(kind="disk_full", message="No space left where the run was executed.")
        if outcome.exit_code == 137 or re.search(r"OutOfMemoryError|MemoryError", log_tail):
            message = "The program was killed or failed because memory ran out."
            return Verdict(kind="out_of_memory", message=message)
        if outcome.exit_code in (125, 126, 127):
            message = f"The program could not start (exit code {outcome.exit_code})."
            return Verdict(kind="launch_failed", message=message)
        if outcome.exit_code == 0:
            message = "The program reported success but left no result."
            return Verdict(kind="output_missing", message=message)
        if fault := gpu_fault(log_tail):
            return Verdict(kind=fault[0], message=fault[1])
        last = next((x.strip() for x in reversed(log_tail.splitlines()) if x.strip()), "no log")
        message = f"The program ended with exit code {outcome.exit_code}: {last[:300]}"
        return Verdict(kind="model_failed", message=message)
