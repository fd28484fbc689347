"""Arguments and sample files: part of the simulator of the framework of Cosmos 3."""

from __future__ import annotations

import argparse
import glob
import json
import os
from pathlib import Path
from typing import Any

from cosmos_framework.simulated import fields

Sample = dict[str, Any]

HINTS = ("edge", "blur", "depth", "seg", "wsm")
ASPECTS = {"16,9": 16 / 9, "9,16": 9 / 16, "4,3": 4 / 3, "3,4": 3 / 4, "1,1": 1.0}
STRENGTHS = ("very_low", "low", "medium", "high", "very_high")


def file_or_url(value: Any) -> str:
    """A file that exists, or an address."""
    if isinstance(value, str) and value.startswith(("http://", "https://", "s3://")):
        return value
    return fields.file(value)


HINT: fields.Fields = {"control_path": fields.none_or(file_or_url), "weight": fields.number(0)}
OWN: dict[str, fields.Fields] = {
    "edge": {"preset_edge_threshold": fields.one_of(*STRENGTHS)},
    "blur": {"preset_blur_strength": fields.one_of("none", *STRENGTHS)},
}
TRANSFER: fields.Fields = {
    "control_guidance": fields.number(0, 10),
    "control_guidance_interval": fields.anything,
    "num_video_frames_per_chunk": fields.whole(1),
    "num_conditional_frames": fields.whole(0),
    "num_first_chunk_conditional_frames": fields.whole(0),
    "max_frames": fields.whole(1),
    "share_vision_temporal_positions": fields.flag,
    "show_control_condition": fields.flag,
    "show_input": fields.flag,
    "emphasize_control_in_prompt": fields.flag,
}
COMMON: fields.Fields = {
    "model_mode": fields.one_of("video2video", "image2image", "text2video", "image2video"),
    "seed": fields.none_or(fields.whole()),
    "prompt": fields.text,
    "prompt_path": fields.none_or(fields.file),
    "negative_prompt": fields.none_or(fields.text),
    "negative_prompt_file": fields.none_or(fields.text),
    "vision_path": fields.none_or(file_or_url),
    "resolution": fields.one_of("256", "480", "720", "768", "1080"),
    "aspect_ratio": fields.none_or(fields.one_of(*ASPECTS)),
    "fps": fields.whole(1),
    "num_frames": fields.whole(1),
    "num_steps": fields.whole(1),
    "guidance": fields.number(0, 7),
    "guidance_interval": fields.anything,
    "shift": fields.number(),
    "sigma_max": fields.number(),
    "normalize_cfg": fields.flag,
    "negative_metadata_mode": fields.one_of("none", "same", "inverse"),
    "negative_prompt_keep_metadata": fields.flag,
    "duration_template": fields.text,
    "resolution_template": fields.text,
    "video_save_quality": fields.whole(0, 10),
    "image_save_quality": fields.whole(0, 100),
    "num_outputs": fields.whole(1, 1),
    "defaults_file": fields.none_or(fields.file),
}
FIELDS: fields.Fields = {
    "name": fields.text,
    **COMMON,
    **TRANSFER,
    **{hint: fields.none_or(fields.section(HINT | OWN.get(hint, {}))) for hint in HINTS},
}
NEGATIVE_PROMPT = '{"SIMULATED": "the 14,850 characters of defaults/neg_prompts.json"}'
DEFAULTS: Sample = {
    "prompt": "",
    "negative_prompt": NEGATIVE_PROMPT,  # only a missing key or null leaves it
    "vision_path": None,
    "resolution": "720",
    "aspect_ratio": None,
    "fps": 24,
    "num_frames": 189,
    "max_frames": 5000,
    "num_video_frames_per_chunk": 93,
    "num_conditional_frames": 1,
    "num_steps": 35,
    "guidance": 6.0,
    "control_guidance": 1.0,
    "shift": 10.0,
    "seed": None,
    "show_control_condition": False,
    "show_input": False,
}
TUNED: dict[str, Sample] = {
    "edge": {"guidance": 3.0, "control_guidance": 1.5},
    "blur": {"guidance": 3.0, "control_guidance": 1.5},
    "depth": {"guidance": 3.0, "control_guidance": 1.5},
    "seg": {"guidance": 3.0, "control_guidance": 2.0},
    "wsm": {"guidance": 1.0, "control_guidance": 3.0, "num_frames": 101, "fps": 10,
            "num_video_frames_per_chunk": 101},
}  # fmt: skip
SIZES = ("dp-shard-size", "dp-replicate-size", "cp-size", "cfgp-size", "warmup")
FLAGS = {"guardrails": True, "offload-guardrail-models": False, "keep-going": False,
         "skip-invalid-samples": False, "benchmark": False, "profile": False, "debug": False,
         "use-torch-compile": True, "use-cuda-graphs": False}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Set-up arguments, and every field of a sample but its name and hints."""
    arguments = argparse.ArgumentParser(
        description="SIMULATOR of cosmos_framework.scripts.inference", allow_abbrev=False
    )
    arguments.add_argument("-i", "--input-files", nargs="+", required=True)
    arguments.add_argument("-o", "--output-dir", required=True)
    arguments.add_argument("--checkpoint-path", required=True)
    presets = ["latency", "throughput"]
    arguments.add_argument("--parallelism-preset", choices=presets, default="latency")
    arguments.add_argument("--sampler", choices=["unipc", "edm"], default="unipc")
    for name in SIZES:
        arguments.add_argument(f"--{name}", type=int, default=0)
    arguments.add_argument("--max-num-seqs", type=int, default=1)
    arguments.add_argument("--max-model-len", type=int)
    regions = ["all", "language"]
    arguments.add_argument("--compiled-region", choices=regions, default="all")
    for name, default in FLAGS.items():
        arguments.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=default)
    for field in COMMON | TRANSFER:
        arguments.add_argument(f"--{field.replace('_', '-')}", dest=f"field_{field}")
    return arguments


def read_samples(args: argparse.Namespace) -> list[Sample]:
    """All samples in the order of their files' paths.

    The real code means to refuse equal names, but compares them with a set that stays empty
    (cosmos_framework/inference/common/args.py:841): the later sample overwrites the earlier one.
    """
    given = {key[6:]: value for key, value in vars(args).items() if key.startswith("field_")}
    overrides = {key: value for key, value in given.items() if value is not None}
    paths = {path for named in args.input_files for path in (glob.glob(named) or [named])}  # noqa: PTH207
    return [sample for path in sorted(paths) for sample in from_file(Path(path), overrides)]


def from_file(path: Path, overrides: Sample) -> list[Sample]:
    """The samples of one file, whose paths are relative to its folder."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        found = {path.stem: json.loads(text)}
    elif path.suffix == ".jsonl":
        lines = enumerate(text.splitlines())
        found = {f"{path.stem}_{i}": json.loads(line) for i, line in lines if line}
    else:
        raise ValueError(f"Unsupported file extension: {path.suffix} (YAML is not simulated)")
    before = Path.cwd()
    os.chdir(path.parent)
    samples = []
    for i, (name, values) in enumerate(found.items()):
        try:
            samples.append(validated({"name": name} | values | overrides))
        except ValueError as fault:
            raise ValueError(
                f"Error validating parameters from '{path}' at sample {i}\n"
                f"Parameters: {values}\n{fault}"
            ) from None
    os.chdir(before)
    return samples


def validated(values: Sample) -> Sample:
    """One sample with its defaults; ValueError."""
    given = fields.check("OmniSampleArgs", values, FIELDS, ())
    if not hints(given):
        if set(given) & set(TRANSFER):
            raise ValueError(
                "transfer inference requires at least one control hint "
                "(edge, blur, depth, seg, wsm)"
            )
        raise ValueError("SIMULATOR: only transfers are simulated; the sample has no hint")
    place = given.get("prompt_path")
    if place and "prompt" not in given:
        text = Path(place).read_text(encoding="utf-8")
        given["prompt"] = json.dumps(json.loads(text)) if place.endswith(".json") else text.strip()
    tuned = TUNED[hints(given)[0]] if len(hints(given)) == 1 else {}
    return DEFAULTS | tuned | {key: value for key, value in given.items() if value is not None}


def hints(sample: Sample) -> list[str]:
    """The hints of a sample, in the framework's order."""
    return [hint for hint in HINTS if sample.get(hint) is not None]
