"""Cosmos 3: transfer with NVIDIA's framework, a JSON document a sample. Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, ClassVar

from cosmos_pipelines.engines.base import EngineOptions, HostSetup
from cosmos_pipelines.engines.controls import controls_of, transfer_of
from cosmos_pipelines.engines.cosmos import Needs, Placed, gpus_of, mib, port_of, source_of
from cosmos_pipelines.engines.cosmos3.checks import check_transfer
from cosmos_pipelines.engines.cosmos3.facts import (
    CHECKPOINTS,
    CHUNK,
    HUB,
    SAYS,
    SETUP,
    SUPER_GIB,
    SUPER_GPUS,
    Cosmos3Options,
)
from cosmos_pipelines.engines.cosmos3.request import expected_of, size_of, spec_of
from cosmos_pipelines.engines.guardrail import check_not_empty
from cosmos_pipelines.engines.own_checkpoint import argument_of, is_own
from cosmos_pipelines.engines.separate import Separate, spec_path
from cosmos_pipelines.labels import LABELS
from cosmos_pipelines.operations.base import Expected, Job, ModelType, Operation

MODULE = "cosmos_framework.scripts.inference"


class Cosmos3(Separate):
    """Cosmos 3: Nano on one GPU or more, Super on four or eight; chunks of 121."""

    name: ClassVar[str] = "cosmos3"
    label: ClassVar[str] = LABELS["cosmos3"]
    version: ClassVar[str] = "2"  # since NVIDIA's own negative prompt is used
    operations: ClassVar[frozenset[ModelType]] = frozenset({"transfer"})
    computes: ClassVar[Collection[str]] = frozenset({"vis", "edge"})
    defaults: ClassVar[Mapping[ModelType, Mapping[str, Any]]] = {
        "transfer": {  # the values of NVIDIA's own transfers
            "num_steps": 50,
            "guidance": 3.0,
            "resolution": "720",
            "num_conditional_frames": 1,
        }
    }
    uses: ClassVar[Mapping[ModelType, Collection[str]]] = {
        "transfer": {
            "weights", "num_steps", "guidance", "seed", "fps", "blur_strength", "canny_threshold",
            "negative_prompt", "resolution", "max_frames", "num_conditional_frames", "num_gpus",
        }
    }  # fmt: skip
    refuses: ClassVar[Mapping[ModelType, Mapping[str, str]]] = {
        "transfer": {
            "control_prompt": "",
            "mask_prompt": "",
            "keypoint_weight": "",
            "regional_prompts": "",
            "use_distilled": "",
            "sigma_max": "",  # a setting of another sampler
        }
    }
    gpu_counts: ClassVar[tuple[int, ...]] = (1, 2, 4, 8)  # two guided passes: an odd number fails
    more_gpus: ClassVar[str] = "More GPUs make a run faster, and share the weights."
    setup: ClassVar[HostSetup | None] = SETUP
    chunk: ClassVar[int] = CHUNK
    produces: ClassVar[Mapping[str, str | None]] = {
        "video": "{name}/vision.mp4",
        "text": None,
        "marker": "{name}/sample_outputs.json",
    }
    says: ClassVar[Mapping[str, Sequence[Any]]] = SAYS
    options_type: ClassVar[type[EngineOptions] | None] = Cosmos3Options
    options: Cosmos3Options

    def _check(self, job: Job) -> list[str]:
        color = source_of(job, "color")
        check_not_empty(job)
        own = self.own_checkpoint()
        notes = check_transfer(transfer_of(job), job, color)
        return [*notes, *([f"The model loads your checkpoint {own}."] if own else [])]

    def own_checkpoint(self) -> str:
        """See `Engine.own_checkpoint`."""
        return self.options.checkpoint if is_own(self.options.checkpoint) else ""

    def weights(self, operation: Operation) -> str:  # noqa: ARG002
        """See `Engine.weights`."""
        chosen = self.options.checkpoint
        return "" if chosen == CHECKPOINTS[0] else chosen

    def batch_key(self, job: Job) -> Hashable:
        """See `Engine.batch_key`: runs of one shape, for which the framework compiles its code."""
        settled = self._settled(job)
        shape = (controls_of(transfer_of(settled)), size_of(settled))
        return (self.name, "transfer", *shape, self._shared(job))

    def _shared(self, job: Job) -> Hashable:
        return (gpus_of(job.operation), self.weights(job.operation))

    def _in_turn(self, jobs: Sequence[Job]) -> list[Job]:
        """See `Separate._in_turn`: by path, as the framework sorts the documents."""
        return sorted(jobs, key=spec_path)

    def _spec(self, job: Job, placed: Placed, controls: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        return spec_of(job, placed)

    def _expected(self, job: Job) -> Expected:
        return expected_of(job)

    def _command(self, job: Job, specs: Sequence[str], order_id: str) -> list[str]:
        gpus = gpus_of(job.operation)
        words = ["{python}"]
        if gpus > 1:
            words = ["torchrun", f"--nproc-per-node={gpus}", "--master-addr=127.0.0.1"]
            words += [f"--master-port={port_of(order_id)}"]
        words += ["-m", MODULE, "--parallelism-preset=latency", "-i", *specs]
        own = self.own_checkpoint()
        checkpoint = argument_of(own) if own else self.options.checkpoint
        words += ["-o", "{run}/made", "--checkpoint-path", checkpoint]
        if self.options.offload_guardrail_models:
            words += ["--offload-guardrail-models"]
        return words

    def _gpu_counts(self) -> tuple[int, ...]:
        return SUPER_GPUS if self.options.checkpoint == "Cosmos3-Super" else self.gpu_counts

    def _needs_of(self, jobs: Sequence[Job]) -> Needs:
        operation, checkpoint = jobs[0].operation, self.options.checkpoint
        names = () if self.own_checkpoint() else (f"nvidia/{checkpoint}@main/config.json",)
        needs = self._needs(operation, (), (*names, *HUB))
        if checkpoint == "Cosmos3-Super":  # the weights of Super are spread over the GPUs
            share = mib(SUPER_GIB / gpus_of(operation))
            return needs.model_copy(update={"free_vram_mib": max(needs.free_vram_mib, share)})
        return needs


__all__ = ["Cosmos3", "Cosmos3Options"]
