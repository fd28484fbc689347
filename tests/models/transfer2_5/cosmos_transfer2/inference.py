"""Loads nothing and makes grey videos: part of the simulator of Cosmos-Transfer2.5."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from cosmos_transfer2.config import CONTROLS, Sample, hints
from cosmos_transfer2.simulated import behaviour, guardrail, hub, log, ranks, videos

HF = ("uvx", "hf>=1.3.5", "download")
FAMILY = "nvidia/Cosmos-Transfer2.5-2B"
WEIGHTS = {
    "edge": (
        "general/edge/61f5694b-0ad5-4ecd-8ad7-c8545627d125_ema_bf16.pt",
        "b67b64abda3801a9aceddbff2bdb86126c06db74",
    ),
    "depth": (
        "general/depth/626e6618-bfcd-4d9a-a077-1409e2ce353f_ema_bf16.pt",
        "dea7737ca29dd8d9086413c6dc5724b8250a0bb4",
    ),
    "vis": (
        "general/blur/ba2f44f2-c726-4fe7-949f-597069d9b91c_ema_bf16.pt",
        "eb5325b77d358944da58a690157dd2b8071bbf85",
    ),
    "seg": (
        "general/seg/5136ef49-6d8d-42e8-8abf-7dac722a304a_ema_bf16.pt",
        "23057a4167b89de89a4a397fdbf3887994d115eb",
    ),
    "edge/distilled": (
        "distilled/general/edge/41f07f13-f2e4-4e34-ba4c-86f595acbc20_ema_bf16.pt",
        "bbaeedb2b57cc8b14a44653099e2551adb69dcc7",
    ),
}
TOKENIZER_AT = "f176dc95b4a70f53ce01c4b302851595e7322b00"
ENCODER_AT = "3210bec0495fdc7a8d3dbb8d58da5711eab4b423"
GUARDRAIL_AT = "d6d4bfa899a71454a700907664f3e88f503950cf"
GUARDRAIL = "nvidia/Cosmos-Guardrail1"
GUARD = ("QWEN3GUARD", "Prompt blocked by Qwen3Guard. Safety: Unsafe, Categories: ['Violent']")
LATENT_FRAMES = 24  # of 93 frames
DISTILLED_FRAMES = 93
SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".png", ".jpg", ".jpeg")
PIPELINE = "cosmos_transfer2/_src/transfer2/inference/inference_pipeline.py"
LOADER = "cosmos_transfer2/_src/predict2/utils/model_loader.py"
PRESETS = "cosmos_transfer2/_src/imaginaire/auxiliary/guardrail/common/presets.py"
VIDEO_FILTER = (
    "cosmos_transfer2/_src/imaginaire/auxiliary/guardrail/video_content_safety_filter/"
    "video_content_safety_filter.py"
)
"""Files of the real code whose lines this file prints."""
ASPECTS = (16 / 9, 4 / 3, 1.0, 3 / 4, 9 / 16)
SIZES = {
    "480": ((768, 432), (640, 480), (480, 480), (480, 640), (432, 768)),
    "720": ((1280, 704), (960, 704), (960, 960), (704, 960), (704, 1280)),
    "1080": ((1920, 1056), (1440, 1056), (1440, 1440), (1056, 1440), (1056, 1920)),
}


class Control2WorldInference:
    """Loads once, then makes one sample after the other."""

    def __init__(
        self, args: argparse.Namespace, controls: list[str], samples: list[Sample]
    ) -> None:
        self.args = args
        self.distilled = args.model == "edge/distilled"
        hub.fail_as_told(HF, (told(sample) for sample in samples), GUARDRAIL)
        size = args.context_parallel_size or ranks.world()
        if size > 1 and ranks.world() % size:
            raise RuntimeError(f"world_size ({ranks.world()}) is not divisible by {size}")
        assert LATENT_FRAMES % size == 0, f"{LATENT_FRAMES} cannot divide cp_size {size}"
        if not args.disable_guardrails and ranks.rank() == 0:
            hub.need(HF, GUARDRAIL, revision=GUARDRAIL_AT)
            hub.load("Qwen/Qwen3Guard-Gen-0.6B")
            hub.load("google/siglip-so400m-patch14-384")
        hub.need(HF, "nvidia/Cosmos-Predict2.5-2B", "tokenizer.pth", TOKENIZER_AT)
        hub.need(HF, "nvidia/Cosmos-Reason1-7B", revision=ENCODER_AT)
        if len(controls) == 1 and not self.distilled:
            hub.load("google/siglip2-so400m-patch16-naflex")
        branches = controls if len(controls) == 1 else list(CONTROLS)
        loaded = ["edge/distilled"] if self.distilled else branches
        if args.checkpoint_path and len(controls) == 1:  # with several controls it is ignored
            loaded = []
        for control in loaded:
            hub.need(HF, FAMILY, *WEIGHTS[control])
            log.info(f"Loading model from {FAMILY}/{WEIGHTS[control][0]}", LOADER)
        log.info(f"Found {len(controls)} hint keys across all samples")
        if len(controls) > 1:
            log.warning(
                "Loading the multicontrol model. Multicontrol inference is not strictly equal to "
                "single control"
            )
        config = Path(args.output_dir, "config.yaml")
        if ranks.rank() == 0:
            config.write_text(f"SIMULATED: true\nbranches: {branches}\n", encoding="utf-8")
        log.info(f"Saved config to {config}")

    def generate(self, samples: list[Sample]) -> None:
        """Make all; what a guardrail refuses is left out."""
        names = [sample["name"] for sample in samples]
        log.info(f"Generating {len(samples)} samples: {names}")
        for i, sample in enumerate(samples):
            log.info(f"[{i + 1}/{len(samples)}] Processing sample {sample['name']}")
            self._make(sample)
            ranks.together(f"sample_{i}")

    def _make(self, sample: Sample) -> None:
        told_all = ", ".join(f"{key}={value!r}" for key, value in sample.items())
        log.debug(f"InferenceArguments({told_all})")
        stem = str(Path(self.args.output_dir, sample["name"]))
        if ranks.rank() == 0:
            Path(f"{stem}.json").write_text(json.dumps(sample), encoding="utf-8")
            log.info(f"Saved arguments to {stem}.json")
        if ranks.rank() == 0 and not self._prompts_pass(sample):
            return
        clip, controls = self._run_model(sample)
        if ranks.rank() != 0:
            return
        for control, shown in controls.items():
            save(shown, f"{stem}_control_{control}", f"{control} control by cosmos-transfer2.5")
            log.info(f"{control} control video saved to {stem}_control_{control}.mp4")
            if sample[control].get("mask_path") or sample[control].get("mask_prompt"):
                save(shown, f"{stem}_mask_{control}", f"{control} mask by cosmos-transfer2.5")
                log.info(f"Mask for {control} saved to {stem}_mask_{control}.mp4")
        if self._video_passes(sample, clip.frames):
            finish(clip, sample, stem)

    def _prompts_pass(self, sample: Sample) -> bool:
        if self.args.disable_guardrails:
            log.warning("Guardrail checks on prompt are disabled")
            return True
        log.info("Running guardrail check on prompt...")
        kinds = [("Prompt", "prompt", "prompt")]
        if not self.distilled:
            kinds.append(("Negative prompt", "negative_prompt", "negative prompt"))
        for title, field, name in kinds:
            line = guardrail.refusal(sample[field], behaviour.told(sample[field]), *GUARD)
            if line:
                log.critical(line, PRESETS)
                message = f"Guardrail blocked generation. {title}: {sample[field]}"
                log.critical(message)
                return self._left_out(message)
            log.success(f"Passed guardrail on {name}")
        return True

    def _video_passes(self, sample: Sample, frames: int) -> bool:
        if self.args.disable_guardrails:
            log.warning("Guardrail checks on video are disabled")
            return True
        log.info("Running guardrail check on video...")
        if "video_blocked" in told(sample):
            for n in range(frames):
                seen = f"Unsafe frame detected in frame_number {n}: Hate_and_Harassment"
                log.warning(seen, VIDEO_FILTER)
            count = f"Unsafe frame count {frames} is greater than 10% of total frames {frames}"
            log.warning(count, VIDEO_FILTER)
            scores = [{"frame_number": n, "class": "Hate_and_Harassment"} for n in range(frames)]
            scored = json.dumps({"is_safe": False, "frame_scores": scores}, indent=4)
            log.debug(f"Frames data: {scored}", VIDEO_FILTER)
            log.critical(guardrail.UNSAFE_VIDEO, PRESETS)
            return self._left_out("Guardrail blocked video2world generation.")
        log.success("Passed guardrail on generated video")
        return True

    def _left_out(self, message: str) -> bool:
        if not self.args.keep_going:
            raise Exception(message)
        return False

    def _run_model(self, sample: Sample) -> tuple[videos.Clip, dict[str, videos.Clip]]:
        """The output's shades, and each control's."""
        log.info("Loading input video...", PIPELINE)
        source = read(sample["video_path"], sample["max_frames"])
        log.info("Computing prompt text embeddings...", PIPELINE)
        behaviour.at_text_encoder(told(sample))
        log.info("Loading control inputs...", PIPELINE)
        controls = {
            control: read(sample[control]["control_path"], sample["max_frames"])
            if sample[control]["control_path"]
            else source
            for control in hints(sample)
        }
        if self.distilled and source.frames != DISTILLED_FRAMES:
            raise ValueError(
                f"The distilled model takes {DISTILLED_FRAMES} frames, not {source.frames}"
            )
        self._chunks(sample, source, controls)
        width, height = size_of(sample, source)
        rate = Fraction(int(source.rate))
        shown = {
            control: replace(
                clip,
                width=width,
                height=height,
                rate=rate,
                lumas=(clip.lumas + clip.lumas[-1:] * source.frames)[: source.frames],
            )
            for control, clip in controls.items()
        }
        beside = sample["show_control_condition"] * len(shown) + sample["show_input"]
        return replace(source, width=width * (1 + beside), height=height, rate=rate), shown

    def _chunks(
        self, sample: Sample, source: videos.Clip, controls: dict[str, videos.Clip]
    ) -> None:
        chunk = sample["num_video_frames_per_chunk"]
        fresh = max(1, chunk - sample["num_conditional_frames"])
        count = 1 if chunk == 1 else 1 + max(0, -(-(source.frames - chunk) // fresh))
        for i in range(count):
            log.info(f"Generating chunk {i + 1}/{count}", PIPELINE)
            if any(clip.frames <= i * fresh for clip in controls.values()):
                raise ValueError(
                    "No input frames; cannot pad. Verify that video frame counts match."
                )
            log.info(f"Seed: {sample['seed'] + i}", PIPELINE)
            if i == 0:
                behaviour.at_sampling(told(sample))
            for step in range(sample["num_steps"] + 1):
                log.tick(step, sample["num_steps"], "Generating samples: ")
                behaviour.denoise(told(sample), int(step > 0))
        log.info("Average time per chunk: 0.0", PIPELINE)


def told(sample: Sample) -> behaviour.Told:
    """What a sample's prompt says."""
    return behaviour.told(sample["prompt"])


def read(path: str, most: int | None) -> videos.Clip:
    """A video or image, by its suffix."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"Unsupported file extension: {Path(path).suffix}")
    return videos.read(path, most or videos.MOST_FRAMES)


def size_of(sample: Sample, source: videos.Clip) -> tuple[int, int]:
    """Width and height of the output."""
    aspect = source.width / source.height
    nearest = min(range(len(ASPECTS)), key=lambda i: (ASPECTS[i] - aspect) ** 2)
    own = SIZES[sample["resolution"]][nearest]  # another tier is a KeyError
    if not sample["keep_input_resolution"]:
        return own
    return source.width // 2 * 2, source.height // 2 * 2


def save(clip: videos.Clip, stem: str, what: str) -> str:
    """A video, or an image if it has one frame; the file's name."""
    if clip.frames > 1:
        videos.write(Path(f"{stem}.mp4"), clip, what)
        return f"{stem}.mp4"
    image = videos.grey(clip.width, clip.height, clip.lumas[0]).to_image()
    image.save(f"{stem}.jpg", comment=f"SIMULATED {what}".encode())
    return f"{stem}.jpg"


def finish(clip: videos.Clip, sample: Sample, stem: str) -> None:
    """The video, its text last."""
    does = told(sample)
    path = f"{stem}.mp4"
    if "lie" not in does:
        path = save(videos.spoilt(clip, does), stem, "video by cosmos-transfer2.5")
        if "no_text" not in does:
            Path(f"{stem}.txt").write_text(sample["prompt"], encoding="utf-8")
    log.success(f"Generated video saved to {path}")


def init_output_dir(output_dir: str) -> None:
    """The folder and its two logs."""
    os.makedirs(output_dir, exist_ok=True)  # noqa: PTH103 - "" is an error here
    if ranks.rank() == 0:
        saved = f"Log saved to {Path(output_dir, 'console.log')}"
        log.info(saved, "packages/cosmos-oss/cosmos_oss/init.py")
    log.also_to(Path(output_dir, "console.log"), "INFO")
    log.also_to(Path(output_dir, "debug.log"), "DEBUG", all_modules=True)
