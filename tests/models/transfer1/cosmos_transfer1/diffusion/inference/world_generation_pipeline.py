"""Loads nothing and makes grey videos: part of the simulator of Cosmos-Transfer1."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from cosmos_transfer1 import checkpoints
from cosmos_transfer1.auxiliary.upsampler.model.upsampler import PixtralPromptUpsampler
from cosmos_transfer1.diffusion.inference.inference_utils import (
    CHUNK,
    OVERLAP,
    Sections,
    bucket_of,
)
from cosmos_transfer1.simulated import behaviour, guardrail, hub, log, videos

LATENT_FRAMES = 16  # of 121 frames
MASK = (88, 160)
"""Height and width of the grid of regions, whatever the video's size."""
GUARD = ("LLAMAGUARD3", "Prompt blocked by Llama Guard 3. Violations: Violent Crimes.")
PRESETS = ("very_low", "low", "medium", "high", "very_high")


@dataclass
class Part:
    """One sample of a sub-batch."""

    prompt: str | None
    video: str | None
    sections: Sections
    told: behaviour.Told


class Pipeline:
    """Loads once, then makes sub-batches."""

    def __init__(
        self, cfg: argparse.Namespace, sections: Sections, everything: list[behaviour.Told]
    ) -> None:
        self.cfg, self.sections = cfg, sections
        self.upsampler: PixtralPromptUpsampler | None = None
        if not cfg.offload_text_encoder_model:
            self._load_text_encoder()
        if not cfg.offload_guardrail_models:
            self._load_guardrails()
        self._load_network()
        behaviour.at_load(everything, cfg.checkpoint_dir, checkpoints.LLAMA_GUARD)
        if cfg.upsample_prompt and int(os.environ["RANK"]) == 0:
            self._load_upsampler()

    def _load_network(self) -> None:
        cfg = self.cfg
        base = checkpoints.BASE_AV if cfg.is_av_sample else checkpoints.BASE
        checkpoints.need(cfg.checkpoint_dir, base)
        for section in self.sections.values():
            path = section["ckpt_path"]
            log.info(f"Loading ctrl model from ckpt_path: {path}")
            below = Path(cfg.checkpoint_dir, path)
            if not checkpoints.there(Path(path)) and (
                len(self.sections) > 1 or not checkpoints.there(below)
            ):
                raise behaviour.missing(str(path))
        if cfg.num_gpus > 1:
            log.info("Enabling CP in base model")
        checkpoints.need(cfg.checkpoint_dir, *checkpoints.TOKENIZER)

    def _load_guardrails(self) -> None:
        checkpoints.need(self.cfg.checkpoint_dir, *checkpoints.TEXT_GUARDRAIL)
        checkpoints.need(self.cfg.checkpoint_dir, *checkpoints.VIDEO_GUARDRAIL)
        own_cache = Path(self.cfg.checkpoint_dir, checkpoints.VIDEO_GUARDRAIL[0]).parent
        hub.load("google/siglip-so400m-patch14-384", own_cache)

    def _load_text_encoder(self) -> None:
        place = Path(self.cfg.checkpoint_dir, checkpoints.T5)
        if not any(checkpoints.there(place / name) for name in checkpoints.T5_WEIGHTS):
            log.warning(
                f"Failed to load T5 model using cache_dir '{place}', falling back to default "
                "location: Error no file named pytorch_model.bin found"
            )
            raise behaviour.missing(str(place / checkpoints.T5_WEIGHTS[-1]))

    def _load_upsampler(self) -> None:
        log.info("Initializing prompt upsampler...")
        hints = [hint for hint in ("vis", "edge", "seg", "depth") if hint in self.sections]
        if hints:
            self.hint = hints[0]
            self.upsampler = PixtralPromptUpsampler(
                self.cfg.checkpoint_dir, self.cfg.offload_prompt_upsampler
            )

    def generate(
        self, parts: list[Part], folder: str
    ) -> tuple[list[videos.Clip], list[Part]] | None:
        """Videos and the parts that they belong to; None if all were refused."""
        log.info(f"Running batch generation with batch_size={len(parts)}")
        if self.upsampler:
            self._upsample(parts, folder)
        safe = self._safe(parts)
        if not safe:
            log.critical("All prompts failed safety checks")
            return None
        log.info("Running text embedding on all prompts")
        log.info("Starting T5 compute")
        self._load_text_encoder()
        for part in safe:
            behaviour.at_text_encoder(part.told)
        log.info("Completed T5 compute")
        log.info("Finish text embedding on prompt")
        log.info("Run generation")
        if not self.cfg.negative_prompt:
            raise TypeError("expected Tensor as element 0 in argument 0, but got NoneType")
        made = self._run_model(safe)
        log.info("Finish generation")
        log.info("Run guardrail on generated videos")
        return self._shown(made, safe)

    def _upsample(self, parts: list[Part], folder: str) -> None:
        for i, part in enumerate(parts):
            log.info(f"Upsampling prompt {i + 1}/{len(parts)}: {part.prompt[:50]}...")
            place = Path(folder, f"video_{i}")
            place.mkdir(parents=True, exist_ok=True)
            control = self.sections[self.hint].get("input_control")
            if control is None and self.hint in ("vis", "edge"):
                control = str(place / f"control_input_{self.hint}_upsampler.mp4")
                videos.write(Path(control), videos.read(part.video, 10), "control for Pixtral")
            part.prompt = self.upsampler._prompt_upsample_with_offload(part.prompt, control)
            log.info(f"Upsampled prompt {i + 1}: {part.prompt[:50]}...")

    def _safe(self, parts: list[Part]) -> list[Part]:
        log.info("Running guardrail checks on all prompts")
        safe = []
        for i, part in enumerate(parts):
            self._load_guardrails()
            refused = guardrail.refusal(part.prompt, part.told, *GUARD)
            if refused is None:
                safe.append(part)
                continue
            log.critical(refused)
            log.critical(f"Input text prompt {i + 1} is not safe")
        return safe

    def _run_model(self, parts: list[Part]) -> list[videos.Clip]:
        log.info("Starting data augmentation")
        if self.cfg.blur_strength not in PRESETS:
            raise KeyError(self.cfg.blur_strength)
        clips = [self._augmented(part) for part in parts]
        self._check_batch(clips, parts)
        log.info("Completed data augmentation")
        frames = clips[0].frames
        chunks = -(-(frames - OVERLAP) // (CHUNK - OVERLAP))
        log.tick(0, chunks)
        for i in range(chunks):
            self._chunk(i, parts)
            log.tick(i + 1, chunks)
        if chunks == 0:
            raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
        return clips

    def _augmented(self, part: Part) -> videos.Clip:
        """The source's shades at the working size, as long as the shortest of all."""
        read = [videos.read(part.video)] if part.video else []
        for hint, section in part.sections.items():
            if section.get("input_control"):
                log.info(f"reading control input {section['input_control']} for hint {hint}")
                read.append(videos.read(section["input_control"]))
            if str(section["control_weight"]).endswith(".pt"):
                checkpoints.need("", section["control_weight"])
        sizes = {bucket_of(clip.width, clip.height) for clip in read}
        if len(sizes) > 1:
            first, second = sorted(sizes)[:2]
            raise mismatch(f"Expected size {first[0]} but got size {second[0]}")
        frames = min(clip.frames for clip in read)
        log.info(f"Making all control and input videos to be length of {frames} frames.")
        self._check_regions(frames, videos.read(part.video) if part.video else read[0], sizes)
        times = 3 if "upscale" in part.sections else 1
        width, height = (side * times for side in sizes.pop())
        rate = Fraction(self.cfg.fps + 0)  # a rate from JSON that is a string is a TypeError
        return replace(read[0], width=width, height=height, rate=rate, lumas=read[0].lumas[:frames])

    def _check_regions(self, frames: int, source: videos.Clip, sizes: set[tuple[int, int]]) -> None:
        """See utils/regional_prompting_utils.py:149 and diffusion/module/attention.py:205."""
        regions: list[dict[str, Any]] = getattr(self.cfg, "regional_prompts", None) or []
        if regions and self.cfg.use_distilled:
            dropped = "Regional prompts not supported when using distilled model, dropping"
            log.info(f"{dropped}: {regions}")
            return
        for region in regions:
            assert region["prompt"] is not None
            place = region.get("region_definitions_path")
            if isinstance(place, str) and not place.endswith((".json", ".mp4")):
                raise ValueError(f"Invalid video file: {place}")
        if regions and frames < CHUNK:
            raise AssertionError(
                f"Temporal dimension {frames} is not divisible by chunk_length {CHUNK}"
            )
        mask = (source.height // 8, source.width // 8)
        if any("mask_prompt" in region for region in regions) and mask != MASK:
            raise RuntimeError(
                f"The expanded size of the tensor ({MASK[1]}) must match the existing size "
                f"({mask[1]}) at non-singleton dimension 3.  Target sizes: [1, {CHUNK}, "
                f"{MASK[0]}, {MASK[1]}].  Tensor sizes: [{CHUNK}, {mask[0]}, {mask[1]}]"
            )
        if regions and self.cfg.num_gpus > 1:
            raise AssertionError(f"{CHUNK} cannot divide cp_size {self.cfg.num_gpus}")
        width, height = next(iter(sizes))
        tokens, drawn = LATENT_FRAMES * width * height // 256, LATENT_FRAMES * 44 * 80
        if regions and tokens != drawn:
            raise RuntimeError(
                f"The expanded size of the tensor ({tokens}) must match the existing size "
                f"({drawn}) at non-singleton dimension 1.  Target sizes: [1, {tokens}, 512].  "
                f"Tensor sizes: [1, {drawn}, 1]"
            )

    def _check_batch(self, clips: list[videos.Clip], parts: list[Part]) -> None:
        for i, clip in enumerate(clips):
            if clip.frames != clips[0].frames:
                raise mismatch(
                    f"Expected size {clips[0].frames} but got size {clip.frames} for tensor "
                    f"number {i} in the list."
                )
            if (clip.width, clip.height) != (clips[0].width, clips[0].height):
                raise mismatch(f"Expected size {clips[0].width} but got size {clip.width}")
        weights = [
            [section["control_weight"] for section in part.sections.values()] for part in parts
        ]
        log.info(f"control_weight of the whole batch: {weights[0]} (asked for: {weights})")

    def _chunk(self, i: int, parts: list[Part]) -> None:
        cfg = self.cfg
        log.info("Starting latent encoding")
        if i > 0 and "upscale" in self.sections:
            raise RuntimeError("input tensor must fit into 32-bit index math")
        fair = LATENT_FRAMES % cfg.num_gpus == 0
        assert fair, f"{LATENT_FRAMES} cannot divide cp_size {cfg.num_gpus}"
        log.info("Completed latent encoding")
        log.info("Starting diffusion sampling")
        steps = 1 if cfg.use_distilled else range(cfg.num_steps).stop
        for part in parts:
            if i == 0:
                behaviour.at_sampling(part.told)
        _ = cfg.guidance + cfg.sigma_max  # a number from JSON that is a string is a TypeError
        behaviour.denoise(parts[0].told, steps)
        log.info("Completed diffusion sampling")
        log.info("Starting VAE decode")
        log.info("Completed VAE decode")

    def _shown(
        self, made: list[videos.Clip], parts: list[Part]
    ) -> tuple[list[videos.Clip], list[Part]] | None:
        self._load_guardrails()
        shown = []
        for i, part in enumerate(parts):
            if "video_blocked" in part.told:
                log.critical(guardrail.UNSAFE_VIDEO)
                log.critical(f"Generated video {i + 1} is not safe")
            else:
                shown.append(i)
        if not shown:
            log.critical("All generated videos failed safety checks")
            return None
        return [made[i] for i in shown], [parts[i] for i in shown]


def mismatch(what: str) -> RuntimeError:
    """PyTorch's words for tensors of unlike shape."""
    return RuntimeError(f"Sizes of tensors must match except in dimension 0. {what}")
