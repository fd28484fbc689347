"""Cosmos-Transfer1 (7B): transfer, the Pixtral prompt upsampler, the 4K upscaler. Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, ClassVar

from cosmos_pipelines.engines.base import Cost, EngineOptions, HostSetup, Mixed
from cosmos_pipelines.engines.controls import (
    computed,
    controls_of,
    kind_of,
    transfer_of,
    weight_of,
)
from cosmos_pipelines.engines.cosmos import (
    Cosmos,
    Needs,
    Placed,
    gpus_of,
    one_key,
    port_of,
    source_of,
)
from cosmos_pipelines.engines.cosmos_transfer1.checks import check_transfer, check_upscale
from cosmos_pipelines.engines.cosmos_transfer1.facts import (
    BASE_BLOCKS,
    BRANCH_BLOCKS,
    CHECKPOINTS,
    CHUNK,
    RANDOM,
    SAYS,
    SETUP,
    TOGETHER,
    UPSAMPLER_FILE,
    UPSCALER_FILE,
    Transfer1Options,
)
from cosmos_pipelines.engines.cosmos_transfer1.request import (
    control_files,
    expected_of,
    hub_of,
    json_lines,
    pieces_of,
    rate_of,
    sample_of,
    sections,
    shared_spec,
    transfer_line,
    upscale_lines,
)
from cosmos_pipelines.engines.geometry import aspect_of, check_length, chunks_of
from cosmos_pipelines.engines.guardrail import check_asterisks, check_text
from cosmos_pipelines.labels import LABELS
from cosmos_pipelines.operations.base import (
    CONTROLS,
    RUN_FOLDER,
    Job,
    ModelType,
    Operation,
    Order,
    as_document,
)
from cosmos_pipelines.operations.enhance import Enhance
from cosmos_pipelines.operations.transfer import Transfer
from cosmos_pipelines.operations.upscale import Upscale


class Transfer1(Cosmos):
    """Cosmos-Transfer1: one 80 GB GPU or more, sizes of the nearest bucket, chunks of 121."""

    name: ClassVar[str] = "cosmos_transfer1"
    label: ClassVar[str] = LABELS["cosmos_transfer1"]
    version: ClassVar[str] = "1"
    operations: ClassVar[frozenset[ModelType]] = frozenset({"transfer", "enhance", "upscale"})
    computes: ClassVar[Collection[str]] = frozenset({"vis", "edge", "depth", "seg"})
    defaults: ClassVar[Mapping[ModelType, Mapping[str, Any]]] = {
        "transfer": {"num_steps": 35, "guidance": 5.0}
    }
    uses: ClassVar[Mapping[ModelType, Collection[str]]] = {
        "transfer": {
            "weights", "num_steps", "guidance", "seed", "fps", "blur_strength", "negative_prompt",
            "sigma_max", "control_prompt", "mask_prompt", "keypoint_weight", "regional_prompts",
            "use_distilled", "num_gpus",
        },
        "enhance": {"resolution"},
        "upscale": {"control_weight", "num_steps", "seed", "num_gpus"},
    }  # fmt: skip
    refuses: ClassVar[Mapping[ModelType, Mapping[str, str]]] = {
        "transfer": dict.fromkeys(("resolution", "max_frames", "num_conditional_frames"), "")
    }
    ignores: ClassVar[Mapping[ModelType, Collection[str]]] = {
        "transfer": {"canny_threshold"},  # the model computes edge with random thresholds
        "enhance": {"seed"},  # the upsampler answers at a temperature of 0.6
    }
    gpu_counts: ClassVar[tuple[int, ...]] = (1, 2, 4, 8, 16)
    setup: ClassVar[HostSetup | None] = SETUP
    options_type: ClassVar[type[EngineOptions] | None] = Transfer1Options
    options: Transfer1Options

    def _check(self, job: Job) -> list[str]:
        operation = job.operation
        if isinstance(operation, Upscale):
            check_asterisks("prompt", job.text)
            return check_upscale(operation, source_of(job, "video"))
        color = source_of(job, "color")
        check_text(job)
        if not isinstance(operation, Transfer):
            check_length(color, most=None)  # the upsampler reads two frames
            return []
        together = [TOGETHER] if self.options.batch_size > 1 else []
        return [*check_transfer(operation, job, color), *together]

    def batch_key(self, job: Job) -> Hashable:
        """See `Engine.batch_key`: all settings of a process: all but video, text and weights.

        A run for which the model computes vis or edge shares no load: see `RANDOM`.
        """
        operation = self.settled(job.operation)
        key: tuple[Hashable, ...] = ()
        if isinstance(operation, Upscale):
            key = (operation.control_weight, operation.num_steps, operation.seed)
            key += (rate_of(job.inputs["video"], None),)
        elif isinstance(operation, Transfer):
            shared = as_document(shared_spec(job, operation), indent=None)
            key = (controls_of(operation), shared, *_spec_only(operation))
            if set(computed(job, operation)) & RANDOM:
                key += (job.run_id,)
            if self.options.batch_size > 1:  # one forward pass has one size, length and weights
                color = job.inputs["color"]
                weights = tuple(weight_of(operation, c) for c in controls_of(operation))
                key += (aspect_of(color.width, color.height), color.frames, weights)
        return (self.name, operation.model_type, gpus_of(operation), *key)

    def mixed(self, job: Job) -> Mixed | None:
        """See `Engine.mixed`: transfers whose controls need no random numbers.

        With several GPUs, a run with one control is left out: NVIDIA's code splits the work of a
        single control over the GPUs (world_generation_pipeline.py:365), but not that of several,
        whose `hint_encoders` it looks for in the wrong object (line 367). Such a run would get
        other pixels for certain.
        """
        operation = self.settled(job.operation)
        if not isinstance(operation, Transfer) or operation.use_distilled:
            return None
        controls = controls_of(operation)
        if set(computed(job, operation)) & RANDOM:
            return None
        if len(controls) == 1 and operation.num_gpus > 1:
            return None
        settled = job.model_copy(update={"operation": operation})
        branch = BRANCH_BLOCKS / (BASE_BLOCKS + BRANCH_BLOCKS * len(controls))
        return Mixed((self.name, "transfer", _mixed_key(settled)), controls, branch)

    def cost(self, job: Job) -> Cost | None:
        """See `Engine.cost`: a chunk of an upscale has nine patches a step."""
        operation = self.settled(job.operation)
        if isinstance(operation, Upscale):
            chunks = len(pieces_of(job.inputs["video"].frames))
            return Cost(chunks=chunks, steps=operation.num_steps, gpus=operation.num_gpus)
        if isinstance(operation, Transfer):
            chunks = chunks_of(job.inputs["color"].frames, CHUNK, 1)
            steps = 1 if operation.use_distilled else operation.num_steps or 1
            kind = kind_of(job, operation)
            return Cost(chunks=chunks, steps=steps, gpus=operation.num_gpus, kind=kind)
        return Cost(chunks=1, steps=1)

    def allowed_s(self, job: Job) -> int | None:
        """See `Engine.allowed_s`. One chunk of an upscale was reported to take 3 h 14 min."""
        cost = self.cost(job)
        if cost is None or isinstance(job.operation, Enhance):
            return None
        upscale = isinstance(job.operation, Upscale)
        return 3600 + cost.chunks * (5 * 3600 if upscale else 1800)

    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """See `Engine.compile`. One transfer is only a spec, several are a spec with lines.

        Runs of different control sets come in one order only if the user asked for that: a control
        that a line does not use gets a weight of 0, and is computed nevertheless.
        """
        jobs = [job.model_copy(update={"operation": self.settled(job.operation)}) for job in jobs]
        if isinstance(jobs[0].operation, Enhance):
            return self._enhance(jobs, order_id)
        if isinstance(jobs[0].operation, Upscale):
            return self._upscale(jobs, order_id)
        return self._transfer(jobs, order_id)

    def _transfer(self, jobs: Sequence[Job], order_id: str) -> Order:
        one_key(jobs, _mixed_key)
        placed, first = Placed(), jobs[0]
        operation = transfer_of(first)
        wanted = {control for job in jobs for control in controls_of(transfer_of(job))}
        controls = [c for c in (*CONTROLS, "keypoint") if c in wanted]
        many = len(jobs) > 1
        spec: dict[str, Any] = {} if many else {"prompt": first.text}
        spec["input_video_path"] = placed.path("color", first.inputs["color"])
        spec |= shared_spec(first, operation) | sections(first, operation, placed, controls)
        lines = [transfer_line(job, placed, controls) for job in jobs] if many else None
        samples = [sample_of(job, chunks_of(job.inputs["color"].frames, CHUNK, 1)) for job in jobs]
        needs = self._needs(
            operation, (*CHECKPOINTS, *control_files(operation, controls)), hub_of(jobs)
        )
        guardrail = ["--offload_guardrail_models"] if self.options.offload_guardrail_models else []
        size = self._batch_size(jobs)
        return self._model_order(
            jobs, order_id, (spec, lines), samples, needs, placed, guardrail, size
        )

    def _upscale(self, jobs: Sequence[Job], order_id: str) -> Order:
        one_key(jobs, self.batch_key)
        placed, operation = Placed(), jobs[0].operation
        assert isinstance(operation, Upscale)
        parts = [upscale_lines(job, placed) for job in jobs]
        lines = [line for _, own in parts for line in own]
        single = {"prompt": lines[0]["prompt"]} if len(lines) == 1 else {}
        spec: dict[str, Any] = {
            **single,
            "input_video_path": lines[0]["visual_input"],
            "seed": operation.seed,
            "num_steps": operation.num_steps,
            "fps": rate_of(jobs[0].inputs["video"], None),
            "upscale": {"control_weight": operation.control_weight},
        }
        needs = self._needs(operation, (*CHECKPOINTS, UPSCALER_FILE))
        batch = lines if len(lines) > 1 else None
        samples = [sample for sample, _ in parts]
        return self._model_order(jobs, order_id, (spec, batch), samples, needs, placed)

    def _enhance(self, jobs: Sequence[Job], order_id: str) -> Order:
        placed, samples = Placed(), []
        for job in jobs:
            assert isinstance(job.operation, Enhance)
            source = placed.path("color", job.inputs["color"]).removeprefix(f"{RUN_FOLDER}/")
            sample = {"run_id": job.run_id, "prompt": job.text, "source": source}
            sample |= {"output": f"outputs/{job.run_id}.txt"}
            samples.append(sample | {"resolution": job.operation.resolution})
        # vLLM takes 98 % of each GPU; `free_vram_gib` and `ram_gib` are for T5, which is not loaded
        share = {"free_vram_mib": 0, "free_vram_percent": 98, "free_ram_mib": 0}
        needs = self._needs(jobs[0].operation, (UPSAMPLER_FILE,)).model_copy(update=share)
        request = {"samples": samples, "needs": needs.model_dump(mode="json", exclude_none=True)}
        request["program"] = "transfer1_upsample.py"
        expected = [expected_of(job) for job in jobs]
        return self._order(jobs, order_id, (), request, {}, placed, expected)

    def _model_order(
        self,
        jobs: Sequence[Job],
        order_id: str,
        spec: tuple[dict[str, Any], Sequence[object] | None],
        samples: Sequence[Mapping[str, Any]],
        needs: Needs,
        placed: Placed,
        more: Sequence[str] = (),
        batch_size: int = 1,
    ) -> Order:
        """Return the order that runs `transfer.py` with a spec and, for several parts, lines."""
        fields, lines = spec
        command = self._command(jobs[0].operation, order_id)
        if lines is not None:
            command += ["--batch_input_path", "{run}/batch.jsonl", "--batch_size", str(batch_size)]
        folder = "video_{index}/" if lines is not None else ""
        text = "prompt.txt" if lines is not None else "output.txt"
        request = {
            "folder": "made",
            "lines": None if lines is None else "batch.jsonl",
            "produces": {"video": f"{folder}output.mp4", "text": f"{folder}{text}"},
            "samples": samples,
            "batch_size": batch_size,
            "needs": needs.model_dump(mode="json", exclude_none=True),
            "says": SAYS if batch_size == 1 else {**SAYS, "begins": []},
        }
        documents = {"spec.json": as_document(fields), **json_lines(lines)}
        expected = [expected_of(job) for job in jobs]
        words = [*command, *more]
        return self._order(jobs, order_id, words, request, documents, placed, expected)

    def _command(self, operation: Operation, order_id: str) -> list[str]:
        """Return NVIDIA's own command. Each value is a separate word: `--seed=7` has no effect."""
        gpus = str(gpus_of(operation))
        words = ["torchrun", f"--nproc_per_node={gpus}", "--nnodes=1", "--node_rank=0"]
        words += [f"--master_port={port_of(order_id)}"]
        words += ["cosmos_transfer1/diffusion/inference/transfer.py"]
        words += ["--checkpoint_dir", "{checkpoints}", "--video_save_folder", "{run}/made"]
        words += ["--controlnet_specs", "{run}/spec.json", "--num_gpus", gpus]
        if isinstance(operation, Transfer) and operation.use_distilled:
            words.append("--use_distilled")
        if self.options.offload_text_encoder_model:
            words.append("--offload_text_encoder_model")
        if self.options.offload_diffusion_transformer:
            words.append("--offload_diffusion_transformer")
        return words

    def _batch_size(self, jobs: Sequence[Job]) -> int:
        """Return the number of runs in one forward pass, which has one size, length and weights.

        The outputs of a pass differ only by their texts, so runs with equal texts get their own
        pass.
        """
        texts, keys = {job.text for job in jobs}, {self.batch_key(job) for job in jobs}
        # a forward pass would use the regions and masks of its last run for all runs
        found = any(t.mask_prompt or t.regional_prompts for t in map(transfer_of, jobs))
        alone = len(texts) < len(jobs) or len(keys) > 1 or found
        return 1 if alone else min(self.options.batch_size, len(jobs))


def _mixed_key(job: Job) -> Hashable:
    """Return what all runs of an order must share, also runs of different control sets."""
    operation = transfer_of(job)
    shared = as_document(shared_spec(job, operation), indent=None)
    return (shared, gpus_of(operation), *_spec_only(operation))


def _spec_only(operation: Transfer) -> tuple[Hashable, ...]:
    """Return other values of the spec or the command, which all lines inherit."""
    return (operation.use_distilled, operation.mask_prompt, operation.control_prompt)


__all__ = ["Transfer1", "Transfer1Options"]
