"""What NVIDIA's engines share: the request to `model_run.py` of `gpu_scripts` and its answer. Pure.

That program checks the place, starts the model's own entry point, tells how far it is, decides for
each sample from its files whether it is there, and goes on with the rest where one was blocked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar, Final, cast, get_args

from pydantic import Field

from cosmos_pipelines.engines.base import Engine, EngineOptions, RunProgress
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
"""Kind, the regular expression of a log line, and a sentence with `{1}` for its first group."""

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
        "A pinned revision is not on the hub any more; a copy of yours, or a newer pin, is needed.",
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
"""Of PyTorch, Python and the Hugging Face libraries; each family adds its own before these."""
IGNORES: Final = (
    r"final user prompt:",  # may say anything
    r"Unexpected error occurred when running .* guardrail",  # which then counts as safe
)
"""Lines that say no failure, whatever words are in them."""

_MADE: Final = re.compile(r"\[([0-9]{1,9})/([0-9]{1,9})\] (rs_\w+) (\w+): done in ")
_PROGRESS: Final = re.compile(
    r"\[([0-9]{1,9})/([0-9]{1,9})\] (rs_\w+) (\w+): chunk ([0-9]{1,9})/([0-9]{1,9})"
    r"(?:, step ([0-9]{1,9})/([0-9]{1,9}))?"
)
_FAILED: Final = r"^FAILED {}: (\w+): (.+)$"
_REFUSED: Final = re.compile(r"^REFUSED: (\w+): (.+)$", re.MULTILINE)


class CosmosOptions(EngineOptions):
    """A table of cosmos.toml: where the model lies on its host, and what it needs there."""

    code: str = Field("", description="NVIDIA's checkout; default: below remote_dir")
    checkpoints: str = Field("", description="weights; default: below remote_dir")
    huggingface: str = Field("", description="Hugging Face cache; default: below remote_dir")
    max_batch: int = Field(16, ge=1, le=64, description="runs that share one model load")
    free_vram_gib: float = Field(0, ge=0, description="refuse to start with less on each GPU")
    ram_gib: float = Field(0, ge=0, description="refuse a host with less memory, for each GPU")


class Needs(Frozen):
    """What must be there before a model is loaded; looked at by `model_run.py`."""

    gpus: int = 1
    free_vram_mib: int
    free_vram_percent: int | None = Field(None, description="of each GPU's own memory")
    free_ram_mib: int = 0
    free_disk_mib: int = 2048
    files: tuple[str, ...] = Field(
        (), description="below the checkpoints; `a|b`: one of the two is enough"
    )
    hub: tuple[str, ...] = Field((), description="directories below the Hugging Face cache's hub")


class Cosmos(Engine):
    """An engine of NVIDIA's; a subclass says what is peculiar to its family."""

    gpu_counts: ClassVar[tuple[int, ...]] = (1,)
    more_gpus: ClassVar[str] = "More GPUs make it faster, they do not save memory."
    options: CosmosOptions

    def _check_fields(self, operation: Operation) -> None:
        """See `Engine._check_fields`; then the number of GPUs."""
        super()._check_fields(operation)
        self._check_gpus(operation)

    def max_batch(self, job: Job) -> int:  # noqa: ARG002
        """See `Engine.max_batch`: samples are made one after the other, so memory is no limit."""
        return self.options.max_batch

    def progress(self, line: str) -> RunProgress | None:
        """See `Engine.progress`: chunks and steps, as `model_run.py` tells them."""
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
        """See `Engine.diagnose`: what `model_run.py` said of this run, else of the whole order."""
        if run_id is not None and run_id in outcome.failed:
            return outcome.failed[run_id]
        said = (
            re.findall(_FAILED.format(re.escape(run_id)), log_tail, re.MULTILINE) if run_id else []
        )
        if outcome.stopped is None:
            said = said or _REFUSED.findall(log_tail)
        for kind, sentence in reversed(said):
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
        """The order that has `model_run.py` start `command` (none: the program's name alone)."""
        assert self.setup is not None
        kind = jobs[0].operation.model_type
        program = request.get("program", "model_run.py")
        shown = {k: self._named(v) if k == "says" else v for k, v in request.items()}
        shown.pop("program", None)
        head = {"engine": self.name, "operation": kind, "version": self.version}
        words = ("--", *command) if command else ()
        return Order(
            id=order_id,
            run_ids=tuple(job.run_id for job in jobs),
            engine=self.name,
            model_type=kind,
            argv=("{python}", f"{{scripts}}/model/{program}", "{run}/request.json", *words),
            env={**self.setup.env, **(env or {}), "COSMOS_CWD": "{code}"},
            inputs=placed.files,
            documents={"request.json": as_document({**head, **shown}), **documents},
            gpus=gpus_of(jobs[0].operation),
            directories=self.directories(),
            image=self.setup.image,
            expected=tuple(expected),
        )

    def _named(self, says: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """Words of a family with this engine's name in the commands that they tell."""
        typed = f"`cosmos host checkpoints {self.name}`"
        told = [
            (k, p, s.replace("`cosmos host checkpoints`", typed)) for k, p, s in says["failures"]
        ]
        return {**says, "failures": told}

    def _needs(self, operation: Operation, files: Sequence[str], hub: Sequence[str] = ()) -> Needs:
        """What a load of the model takes; every GPU's process loads all of it."""
        gpus = gpus_of(operation)
        return Needs(
            gpus=gpus,
            free_vram_mib=mib(self.options.free_vram_gib),
            free_ram_mib=mib(self.options.ram_gib) * gpus,
            files=tuple(files),
            hub=tuple(hub),
        )

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
    """Which input files an order brings, each once, and what they are called in its documents.

    `run`: the run folder as its documents say it, absolute or from where they lie.
    """

    def __init__(self, run: str = RUN_FOLDER) -> None:
        self.files: dict[str, Video] = {}
        self.run = run

    def path(self, name: str, video: Video) -> str:
        """Place a file; its path as a document says it."""
        file = f"{name}-{video.sha256[:16]}.mp4"
        self.files[file] = video
        return f"{self.run}/inputs/{file}"


def gpus_of(operation: Operation) -> int:
    """GPUs that share one sample's work."""
    return int(getattr(operation, "num_gpus", 1))


def source_of(job: Job, name: str) -> Video:
    """An input that must be there.

    Raises:
        InputError: it is not.
    """
    if name not in job.inputs:
        given = ", ".join(sorted(job.inputs)) or "nothing"
        raise InputError(f"Run {job.run_id} needs the input {name!r}; it was given {given}.")
    return job.inputs[name]


def port_of(order_id: str) -> int:
    """A port for torchrun, so that two orders on one host do not meet at its default, 29500."""
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
    """GiB as whole MiB."""
    return round(gib * 1024)
