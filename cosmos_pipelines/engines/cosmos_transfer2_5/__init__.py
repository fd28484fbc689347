"""Cosmos-Transfer2.5 (2B): transfer with a JSON document for each sample. Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, ClassVar

from cosmos_pipelines.engines.base import EngineOptions, HostSetup
from cosmos_pipelines.engines.controls import computed, controls_of, transfer_of
from cosmos_pipelines.engines.cosmos import Needs, Placed, gpus_of, port_of, source_of
from cosmos_pipelines.engines.cosmos_transfer2_5.checks import check_transfer
from cosmos_pipelines.engines.cosmos_transfer2_5.facts import (
    CHUNK,
    CONTROL_FILES,
    DEPTH_FILE,
    DISTILLED,
    DISTILLED_FILE,
    DISTILLED_STEPS,
    HUB,
    HUB_ALONE,
    HUB_SEG,
    SAYS,
    SETUP,
    Transfer2_5Options,
)
from cosmos_pipelines.engines.cosmos_transfer2_5.request import expected_of, spec_of
from cosmos_pipelines.engines.guardrail import check_text
from cosmos_pipelines.engines.own_checkpoint import argument_of
from cosmos_pipelines.engines.separate import Separate
from cosmos_pipelines.labels import LABELS
from cosmos_pipelines.operations.base import Expected, Job, ModelType, Operation
from cosmos_pipelines.operations.transfer import Transfer


class Transfer2_5(Separate):
    """Cosmos-Transfer2.5: one 80 GB GPU or more, the input's own size, chunks of 93."""

    name: ClassVar[str] = "cosmos_transfer2_5"
    label: ClassVar[str] = LABELS["cosmos_transfer2_5"]
    version: ClassVar[str] = "1"
    operations: ClassVar[frozenset[ModelType]] = frozenset({"transfer"})
    computes: ClassVar[Collection[str]] = frozenset({"vis", "edge", "depth", "seg"})
    defaults: ClassVar[Mapping[ModelType, Mapping[str, Any]]] = {
        "transfer": {
            "num_steps": 35,
            "guidance": 3.0,
            "resolution": "720",
            "num_conditional_frames": 1,
        }
    }
    uses: ClassVar[Mapping[ModelType, Collection[str]]] = {
        "transfer": {
            "weights", "num_steps", "guidance", "seed", "blur_strength", "canny_threshold",
            "negative_prompt", "sigma_max", "control_prompt", "mask_prompt", "use_distilled",
            "resolution", "max_frames", "num_conditional_frames", "num_gpus",
        }
    }  # fmt: skip
    refuses: ClassVar[Mapping[ModelType, Mapping[str, str]]] = {
        "transfer": {
            "fps": "the result plays at the rate at which the scene was rendered",
            "keypoint_weight": "",
            "regional_prompts": "",
        }
    }
    # The counts that NVIDIA shows or measures; 24 latent frames also divide by 3, 6, 12 and 24.
    gpu_counts: ClassVar[tuple[int, ...]] = (1, 2, 4, 8)
    setup: ClassVar[HostSetup | None] = SETUP
    chunk: ClassVar[int] = CHUNK
    produces: ClassVar[Mapping[str, str | None]] = {"video": "{name}.mp4", "text": "{name}.txt"}
    says: ClassVar[Mapping[str, Sequence[Any]]] = SAYS
    options_type: ClassVar[type[EngineOptions] | None] = Transfer2_5Options
    options: Transfer2_5Options

    def settled(self, operation: Operation) -> Operation:
        """See `Engine.settled`: the distilled model takes fewer steps."""
        if isinstance(operation, Transfer) and operation.use_distilled:
            steps = operation.num_steps or DISTILLED_STEPS
            operation = operation.model_copy(update={"num_steps": steps})
        return super().settled(operation)

    def _check(self, job: Job) -> list[str]:
        color = source_of(job, "color")
        check_text(job)
        return [*check_transfer(transfer_of(job), job, color), *self._weight_notes(job)]

    def _weight_notes(self, job: Job) -> list[str]:
        own = self.own_checkpoint()
        if own and self.weights(job.operation):
            return [f"The model loads your checkpoint {own}."]
        alone = f"{self.options.checkpoint_control} alone"
        return [f"The model loads NVIDIA's weights: {own} is for {alone}."] if own else []

    def own_checkpoint(self) -> str:
        """See `Engine.own_checkpoint`."""
        return self.options.checkpoint

    def weights(self, operation: Operation) -> str:
        """See `Engine.weights`: with several controls the model ignores a checkpoint."""
        own = self.options.checkpoint
        if not own or not isinstance(operation, Transfer) or operation.use_distilled:
            return ""
        return own if controls_of(operation) == (self.options.checkpoint_control,) else ""

    def batch_key(self, job: Job) -> Hashable:
        """See `Engine.batch_key`: the control decides which model is loaded.

        Several controls, whichever, are one model with all four branches, which each of its samples
        names (cosmos_transfer2/inference.py:65): no run gets other documents or weights by a mate.
        """
        controls = controls_of(transfer_of(job))
        model = controls[0] if len(controls) == 1 else "several"
        return (self.name, "transfer", model, self._shared(job))

    def _shared(self, job: Job) -> Hashable:
        own = self.weights(job.operation)
        return (gpus_of(job.operation), transfer_of(job).use_distilled, own)

    def _spec(self, job: Job, placed: Placed, controls: Sequence[str]) -> dict[str, Any]:
        return spec_of(job, placed, controls)

    def _expected(self, job: Job) -> Expected:
        return expected_of(job)

    def _command(self, job: Job, specs: Sequence[str], order_id: str) -> list[str]:
        gpus = gpus_of(job.operation)
        words = ["{python}"]
        if gpus > 1:
            words = ["torchrun", f"--nproc_per_node={gpus}", f"--master_port={port_of(order_id)}"]
        words += ["examples/inference.py", "-i", *specs, "-o", "{run}/made"]
        if transfer_of(job).use_distilled:
            words += ["--model", DISTILLED]
        if own := self.weights(job.operation):
            words += ["--checkpoint-path", argument_of(own)]
            if self.options.checkpoint_experiment:
                words += ["--experiment", self.options.checkpoint_experiment]
        if gpus > 1:
            # Only the first rank would skip a blocked sample, and the other ranks would wait.
            words += ["--no-keep-going"]
        if self.options.offload_guardrail_models:
            words += ["--offload-guardrail-models"]
        return words

    def _environment(self, job: Job) -> Mapping[str, str]:
        return {"COSMOS_EXPERIMENTAL_CHECKPOINTS": "1"} if transfer_of(job).use_distilled else {}

    def _needs_of(self, jobs: Sequence[Job]) -> Needs:
        operations = [transfer_of(job) for job in jobs]
        missing = {control for job in jobs for control in computed(job, transfer_of(job))}
        controls = {control for operation in operations for control in controls_of(operation)}
        names = [*_weights(operations[0], controls), *HUB]
        if self.weights(operations[0]):
            names = [HUB_ALONE, *HUB]
        if "seg" in missing or any(operation.mask_prompt for operation in operations):
            names += HUB_SEG
        if "depth" in missing:
            names.append(DEPTH_FILE)
        return self._needs(operations[0], (), names)


def _weights(operation: Transfer, controls: Collection[str]) -> list[str]:
    """Return the weights for these controls; several controls load all four branches."""
    if operation.use_distilled:
        return [DISTILLED_FILE]
    if len(controls) == 1:
        return [CONTROL_FILES[control] for control in controls] + [HUB_ALONE]
    return list(CONTROL_FILES.values())


__all__ = ["Transfer2_5", "Transfer2_5Options"]
