"""The common part of NVIDIA's engines: the request to `model_run.py` and its answer. Pure.

`model_run.py` of `gpu_scripts` checks the host, starts the model's own entry point, prints the
progress, decides for each sample from its files whether the sample is finished, and continues with
the other samples if one was blocked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar, Final, cast, get_args

from pydantic import Field

from cosmos_pipelines.engines.base import Engine, EngineOptions, RunProgress
from cosmos_pipelines.engines.gpu_faults import GPU_FAULTS
from cosmos_pipelines.engines.own_checkpoint import VARIABLE, argument_of, directory_of, is_own
from cosmos_pipelines.errors import ErrorKind, InputError
from cosmos_pipelines.frozen import Frozen
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.operations.base import (
    RUN_FOLDER,
    Directory,
    Expected,
    Job,
    Operation,
    Order,
    Outcome,
    Verdict,
    Video,
    as_document,
)

Failure = tuple[ErrorKind, str, str]
"""Kind of error, regular expression of a log line, and a sentence; `{1}` is the first group."""

FAILURES: Final[tuple[Failure, ...]] = (
    ("out_of_memory", r"torch\.OutOfMemoryError|CUDA out of memory", "The GPU's memory ran out."),
    ("out_of_memory", r"MemoryError|Cannot allocate memory", "The host's memory ran out."),
    ("disk_full", r"No space left on device|Errno 28", "No space left where the model runs."),
    (
        "launch_failed",
        r"GatedRepoError|Access to model (\S+) is restricted|access(?: a)? gated repo|"
        r"403 Client Error|401 Client Error",
        "A gated download was refused: accept its licence and give a token, then "
        "`cosmos host checkpoints`.",
    ),
    (
        "launch_failed",
        r"(RevisionNotFoundError|404 Client Error)",
        "A pinned revision is not on the hub any more; you need your own copy, or a newer pin.",
    ),
    (
        "launch_failed",
        r"FileNotFoundError.*?([^\s'\"]+\.(?:pt|pth|jit|safetensors|bin))",
        "The checkpoint {1} is missing: `cosmos host checkpoints`.",
    ),
    (
        "launch_failed",
        r"(LocalEntryNotFoundError|OfflineModeIsEnabled|couldn't connect to 'https://huggingface)",
        "A model is not in the Hugging Face cache: `cosmos host checkpoints`.",
    ),
)
"""Failures of PyTorch, Python and the Hugging Face libraries; those of a family come first."""
IGNORES: Final = (
    r"final user prompt:",  # the prompt may have any words
    r"Unexpected error occurred when running .* guardrail",  # the sample then counts as safe
    r"^\[[\d: -]+\|(?:job=[^|]*\|)?DEBUG\|",  # has all settings of the sample, also its texts
    r'^"(?:negative_)?prompt": "',  # Transfer1 prints its settings, one a line
    r"regional_prompts(?: passed to _run_model)?: \[",
)
"""Lines that are no failure, whatever words they have."""

_MADE: Final = re.compile(r"\[([0-9]{1,9})/([0-9]{1,9})\] (rs_\w+) (\w+): done in ")
_PROGRESS: Final = re.compile(
    r"\[([0-9]{1,9})/([0-9]{1,9})\] (rs_\w+) (\w+): chunk ([0-9]{1,9})/([0-9]{1,9})"
    r"(?:, step ([0-9]{1,9})/([0-9]{1,9}))?"
)
_FAILED: Final = r"^FAILED {}: (\w+): (.+)$"
_REFUSED: Final = re.compile(r"^REFUSED: (\w+): (.+)$", re.MULTILINE)


class CosmosOptions(EngineOptions):
    """A table of cosmos.toml: the model's directories on its host, and the memory it needs."""

    code: str = Field("", description="NVIDIA's checkout; default: below remote_dir")
    checkpoints: str = Field("", description="weights; default: below remote_dir")
    huggingface: str = Field("", description="Hugging Face cache; default: below remote_dir")
    max_batch: int = Field(16, ge=1, le=64, description="runs that share one model load")
    free_vram_gib: float = Field(0, ge=0, description="refuse to start with less on each GPU")
    ram_gib: float = Field(0, ge=0, description="refuse a host with less memory, for each GPU")


class Needs(Frozen):
    """What the host must have before a model is loaded; `model_run.py` checks it."""

    gpus: int = 1
    free_vram_mib: int
    free_vram_percent: int | None = Field(None, description="percent of each GPU's memory")
    free_ram_mib: int = 0
    free_disk_mib: int = 2048
    files: tuple[str, ...] = Field(
        (), description="paths below the checkpoints; `a|b`: one of the two is enough"
    )
    checkpoint: str | None = Field(None, description="the user's own, as it is called on the host")
    hub: tuple[str, ...] = Field(
        (), description="OWNER/NAME@REVISION/FILE of the Hugging Face cache, or a path in it"
    )


class Cosmos(Engine):
    """An engine of NVIDIA; a subclass adds the details of its family."""

    gpu_counts: ClassVar[tuple[int, ...]] = (1,)
    more_gpus: ClassVar[str] = "More GPUs make a run faster, they do not save memory."
    options: CosmosOptions

    def _check_fields(self, operation: Operation) -> None:
        """See `Engine._check_fields`; also check the number of GPUs."""
        super()._check_fields(operation)
        self._check_gpus(operation)

    def max_batch(self, job: Job) -> int:  # noqa: ARG002
        """See `Engine.max_batch`: samples are made one after the other, so memory sets no limit."""
        return self.options.max_batch

    def progress(self, line: str) -> RunProgress | None:
        """See `Engine.progress`: chunks and steps from the lines of `model_run.py`."""
        if made := _MADE.search(line):
            n, of, run_id, kind = made.groups()
            text = f"{kind} {n} of {of}: made"
            return RunProgress(done=1, total=1, run_id=run_id, text=text, made=True)
        found = _PROGRESS.search(line)
        if found is None:
            return None
        n, of, run_id, kind, chunk, chunks, step, steps = found.groups()
        text = f"{kind} {n} of {of}: chunk {chunk} of {chunks}"
        done, total = int(chunk), int(chunks)
        if step:
            text += f", step {step} of {steps}"
            done, total = (done - 1) * int(steps) + int(step), total * int(steps)
        return RunProgress(done=done, total=total, run_id=run_id, text=text)

    def diagnose(self, outcome: Outcome, log_tail: str, run_id: str | None = None) -> Verdict:
        """See `Engine.diagnose`: the reason that `model_run.py` gave for this run, or the order."""
        if run_id is not None and run_id in outcome.failed:
            return outcome.failed[run_id]
        failed = _FAILED.format(re.escape(run_id)) if run_id else None
        reasons = re.findall(failed, log_tail, re.MULTILINE) if failed else []
        if outcome.stopped is None:
            reasons = reasons or _REFUSED.findall(log_tail)
        for kind, sentence in reversed(reasons):
            if kind in get_args(ErrorKind):
                return Verdict(kind=cast(ErrorKind, kind), message=sentence)
        return super().diagnose(outcome, log_tail, run_id)

    def directories(self) -> tuple[Directory, ...]:
        """See `Engine.directories`."""
        assert self.setup is not None
        given = {name: getattr(self.options, name, "") for name in ("code", "checkpoints")}
        given["huggingface"] = self.options.huggingface
        return tuple(
            d.model_copy(update={"source": given[d.name]}) if given.get(d.name) else d
            for d in self.setup.directories
        )

    def _order(
        self,
        jobs: Sequence[Job],
        order_id: str,
        command: Sequence[str],
        request: Mapping[str, Any],
        documents: Mapping[str, str],
        placed: Placed,
        expected: Sequence[Expected],
        env: Mapping[str, str] | None = None,
    ) -> Order:
        """Return the order in which `model_run.py` starts `command` (empty: no command)."""
        assert self.setup is not None
        kind = jobs[0].operation.model_type
        program = request.get("program", "model_run.py")
        shown = {k: self._with_name(v) if k == "says" else v for k, v in request.items()}
        shown.pop("program", None)
        head = {"engine": self.name, "operation": kind, "version": self.version}
        words = ("--", *command) if command else ()
        weights = self.weights(jobs[0].operation)
        own, places = is_own(weights), self.directories()
        chosen = {VARIABLE: argument_of(weights)} if own else {}
        return Order(
            id=order_id,
            run_ids=tuple(job.run_id for job in jobs),
            engine=self.name,
            model_type=kind,
            argv=("{python}", f"{{scripts}}/model/{program}", "{run}/request.json", *words),
            env={**self.setup.env, **(env or {}), **chosen, "COSMOS_CWD": "{code}"},
            inputs=placed.files,
            documents={"request.json": as_document({**head, **shown}), **documents},
            gpus=gpus_of(jobs[0].operation),
            directories=(*places, directory_of(weights)) if own else places,
            weights=weights,
            image=self.setup.image,
            expected=tuple(expected),
        )

    def _with_name(self, says: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """Put this engine's name into a family's commands, and the GPU's faults first."""
        command = f"`cosmos host checkpoints {self.name}`"
        failures = [
            (k, p, s.replace("`cosmos host checkpoints`", command)) for k, p, s in says["failures"]
        ]
        return {**says, "failures": [*GPU_FAULTS, *failures]}

    def _needs(self, operation: Operation, files: Sequence[str], hub: Sequence[str] = ()) -> Needs:
        """Return the needs of a model load; the process of each GPU loads the whole model."""
        gpus = gpus_of(operation)
        return Needs(
            gpus=gpus,
            free_vram_mib=mib(self.options.free_vram_gib),
            free_ram_mib=mib(self.options.ram_gib) * gpus,
            files=tuple(files),
            checkpoint=weights if is_own(weights := self.weights(operation)) else None,
            hub=tuple(hub),
        )

    def memory_mib(self) -> int:
        """See `Engine.memory_mib`: what `model_run.py` wants to be free before a load."""
        return mib(self.options.free_vram_gib)

    def _gpu_counts(self) -> tuple[int, ...]:
        return self.gpu_counts

    def _check_gpus(self, operation: Operation) -> None:
        count, counts = gpus_of(operation), self._gpu_counts()
        if count not in counts:
            *most, last = map(str, counts)
            allowed = f"{', '.join(most)} or {last}" if most else last
            asked = "one GPU" if count == 1 else f"{count} GPUs"
            raise InputError(
                f"{self.label} cannot run on {asked}; it can use {allowed}.", hint=self.more_gpus
            )


class Placed:
    """The input files of an order, each once, and their paths in the order's documents.

    `run`: the run folder's path in the documents, absolute or relative to the documents.
    """

    def __init__(self, run: str = RUN_FOLDER) -> None:
        self.files: dict[str, Video] = {}
        self.run = run

    def path(self, name: str, video: Video) -> str:
        """Add a file; return its path for a document."""
        file = f"{name}-{video.sha256[:16]}.mp4"
        self.files[file] = video
        return f"{self.run}/inputs/{file}"


def gpus_of(operation: Operation) -> int:
    """Return the number of GPUs that share the work of one sample."""
    return int(getattr(operation, "num_gpus", 1))


def source_of(job: Job, name: str) -> Video:
    """Return an input of a job.

    Raises:
        InputError: the job does not have this input.
    """
    if name not in job.inputs:
        given = ", ".join(sorted(job.inputs)) or "nothing"
        raise InputError(f"Run {job.run_id} needs the input {name!r}; it has {given}.")
    return job.inputs[name]


def port_of(order_id: str) -> int:
    """Return a port for torchrun, so that two orders on a host do not share the default, 29500."""
    return 29600 + int(content_hash({"order": order_id})[:8], 16) % 2000


def one_key(jobs: Sequence[Job], key: Callable[[Job], Hashable]) -> None:
    """Refuse to compile jobs that must not share a model load.

    Raises:
        ValueError: their keys differ.
    """
    keys = {key(job) for job in jobs}
    if len(keys) != 1:
        raise ValueError(f"Jobs of {len(keys)} batch keys cannot be one order.")


def mib(gib: float) -> int:
    """Return GiB as whole MiB."""
    return round(gib * 1024)
