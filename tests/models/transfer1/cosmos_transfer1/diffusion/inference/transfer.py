"""SIMULATOR of NVIDIA's cosmos_transfer1/diffusion/inference/transfer.py: same arguments, same
files, same words, no model. What it does with a sample is told by words in the sample's prompt;
see cosmos_transfer1/simulated/behaviour.py.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cosmos_transfer1.diffusion.inference.inference_utils import (
    Sections,
    load_controlnet_specs,
    read_prompts_from_file,
    validate_controlnet_specs,
)
from cosmos_transfer1.diffusion.inference.preprocessors import preprocess
from cosmos_transfer1.diffusion.inference.world_generation_pipeline import Part, Pipeline
from cosmos_transfer1.simulated import behaviour, log, ranks, videos

PROMPT = (
    "The video captures a stunning, photorealistic scene with remarkable attention to detail, "
    "giving it a lifelike appearance that is almost indistinguishable from reality. It appears "
    "to be from a high-budget 4K movie, showcasing ultra-high-definition quality with impeccable "
    "resolution."
)
NEGATIVE_PROMPT = (
    "The video captures a game playing, with bad crappy graphics and cartoonish frames. It "
    "represents a recording of old outdated games. The lighting looks very fake. The textures "
    "are very raw and basic. The geometries are very primitive. The images are very pixelated "
    "and of poor CG quality. There are many subtitles in the footage. Overall, the video is "
    "unrealistic at all."
)
PRESETS = ("very_low", "low", "medium", "high", "very_high")
FLAGS = ("is_av_sample", "offload_diffusion_transformer", "offload_text_encoder_model",
         "offload_guardrail_models", "upsample_prompt", "offload_prompt_upsampler",
         "use_distilled", "save_input_noise", "benchmark")  # fmt: skip
BENCHMARK_REPEATS = 4


def parser() -> argparse.ArgumentParser:
    """All arguments of the real one, and no others."""
    arguments = argparse.ArgumentParser(description="SIMULATOR of Cosmos-Transfer1")
    text = {"prompt": PROMPT, "negative_prompt": NEGATIVE_PROMPT, "input_video_path": "",
            "checkpoint_dir": "checkpoints", "tokenizer_dir": "Cosmos-Tokenize1-CV8x8x8-720p",
            "video_save_name": "output", "video_save_folder": "outputs/",
            "batch_input_path": None}  # fmt: skip
    for name, default in text.items():
        arguments.add_argument(f"--{name}", type=str, default=default)
    whole = {"batch_size": 1, "num_steps": 35, "fps": 24, "seed": 1, "num_gpus": 1}
    for name, number in whole.items():
        arguments.add_argument(f"--{name}", type=int, default=number)
    arguments.add_argument("--num_input_frames", type=int, default=1, choices=[1])
    arguments.add_argument("--sigma_max", type=float, default=70.0)
    arguments.add_argument("--guidance", type=float, default=5)
    arguments.add_argument("--blur_strength", type=str, default="medium", choices=PRESETS)
    arguments.add_argument("--canny_threshold", type=str, default="medium", choices=PRESETS)
    arguments.add_argument("--controlnet_specs", type=str, required=True)
    for name in FLAGS:
        arguments.add_argument(f"--{name}", action="store_true")
    return arguments


def parse_arguments() -> tuple[argparse.Namespace, Sections]:
    """A key of the spec wins unless its very word `--key` is on the command line."""
    cfg = parser().parse_args()
    sections, others = load_controlnet_specs(cfg.controlnet_specs)
    log.info(f"control_inputs: {json.dumps(sections, indent=4)}")
    log.info(f"args in json: {json.dumps(others, indent=4)}")
    for key, value in others.items():
        if f"--{key}" not in sys.argv:
            setattr(cfg, key, value)
    log.info(f"final args: {json.dumps(vars(cfg), indent=4)}")
    return cfg, sections


def join_ranks(num_gpus: int) -> None:
    """RuntimeError if the launcher did not start as many processes as --num_gpus says."""
    world = ranks.world()
    if world == num_gpus:
        if num_gpus > 1:
            ranks.join()
            log.critical(
                f"Initialized distributed training with local rank {ranks.rank()} with timeout "
                "1800",
                "cosmos_transfer1/utils/distributed.py",
                rank0_only=False,
            )
        return
    if num_gpus == 1:
        raise RuntimeError(
            f"SIMULATOR: {world} processes with --num_gpus 1; the real program would run {world} "
            "times, each time as rank 0, and write the same files"
        )
    raise RuntimeError(f"world_size ({world}) is not divisible by {num_gpus}")


def demo(cfg: argparse.Namespace, sections: Sections) -> None:
    """Load, then make one sub-batch after the other."""
    sections = validate_controlnet_specs(cfg, sections)
    random.seed(cfg.seed)
    np.random.seed(cfg.seed)  # a seed that is a string is an error here
    join_ranks(cfg.num_gpus)
    if cfg.use_distilled:
        assert not cfg.is_av_sample
        assert list(sections) == ["edge"]
        assert not cfg.save_input_noise
    lines = [{"prompt": cfg.prompt, "visual_input": cfg.input_video_path}]
    if cfg.batch_input_path:
        log.info(f"Reading batch inputs from path: {cfg.batch_input_path}")
        lines = read_prompts_from_file(cfg.batch_input_path)
    everything = [behaviour.told(line.get("prompt")) for line in lines]
    pipeline = Pipeline(cfg, sections, everything)
    size = cfg.batch_size
    if "upscale" in sections and size > 1:
        size = 1
        log.info("Setting batch_size=1 as upscale does not support batch generation")
    os.makedirs(cfg.video_save_folder, exist_ok=True)  # noqa: PTH103 - "" is an error here
    for start in range(0, len(lines), size):
        make(pipeline, lines[start : start + size], start)
        ranks.together(f"sub_batch_{start}")


def make(pipeline: Pipeline, lines: list[dict[str, Any]], start: int) -> None:
    """One sub-batch, from preprocessing to its files."""
    cfg = pipeline.cfg
    parts = []
    for i, line in enumerate(lines):
        folder = folder_of(cfg, start + i)
        folder.mkdir(exist_ok=True)
        sections = overridden(pipeline.sections, line)
        log.info("running preprocessor")
        preprocess(line.get("visual_input"), line.get("prompt"), sections, str(folder))
        told = behaviour.told(line.get("prompt"))
        parts.append(Part(line.get("prompt"), line.get("visual_input"), sections, told))
    for _ in range(BENCHMARK_REPEATS if cfg.benchmark else 1):
        outputs = pipeline.generate(parts, str(folder))
        if outputs is None:
            log.critical("Guardrail blocked generation for entire batch.")
    made, safe = outputs
    if ranks.rank() != 0:
        return
    for i, (clip, part) in enumerate(zip(made, safe, strict=True)):
        save(cfg, start + i, clip, part)


def overridden(sections: Sections, line: dict[str, Any]) -> Sections:
    """The spec's sections with one line's overrides."""
    own = copy.deepcopy(sections)
    for hint, override in line.get("control_overrides", {}).items():
        if hint in own:
            own[hint].update(override)
        else:
            log.warning(f"Ignoring unknown control key in override: {hint}")
    return own


def folder_of(cfg: argparse.Namespace, index: int) -> Path:
    """Where the files of a sample belong."""
    return Path(cfg.video_save_folder, f"video_{index}" if cfg.batch_input_path else "")


def save(cfg: argparse.Namespace, index: int, clip: videos.Clip, part: Part) -> None:
    """The video first, its text last."""
    folder = folder_of(cfg, index)
    names = ("output.mp4", "prompt.txt")
    if not cfg.batch_input_path:
        names = (f"{cfg.video_save_name}.mp4", f"{cfg.video_save_name}.txt")
    video, text = (folder / name for name in names)
    if "lie" not in part.told:
        videos.write(video, videos.spoilt(clip, part.told), "video by cosmos-transfer1")
        if cfg.save_input_noise:
            (folder / "noise.pickle").write_bytes(b"SIMULATED")
        if "no_text" not in part.told:
            text.write_bytes(part.prompt.encode())
    log.info(f"Saved video to {video}")
    log.info(f"Saved prompt to {text}")


if __name__ == "__main__":
    log.introduce("cosmos_transfer1/diffusion/inference/transfer.py")
    if not Path("cosmos_transfer1/auxiliary").is_dir():
        raise ModuleNotFoundError(
            "No module named 'sam2' (cosmos_transfer1/auxiliary is not below the current directory)"
        )
    demo(*parse_arguments())
