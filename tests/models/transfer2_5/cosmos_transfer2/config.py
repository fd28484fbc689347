"""Arguments and sample files: part of the simulator of Cosmos-Transfer2.5."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from cosmos_transfer2.simulated import fields, ranks

Sample = dict[str, Any]

CONTROLS = ("edge", "vis", "depth", "seg")
STRENGTH = fields.one_of("very_low", "low", "medium", "high", "very_high")
NEGATIVE_PROMPT = (
    "The video captures a game playing, with bad crappy graphics and cartoonish frames. It "
    "represents a recording of old outdated games. The lighting looks very fake. The textures "
    "are very raw and basic. The geometries are very primitive. The images are very pixelated "
    "and of poor CG quality. There are many subtitles in the footage. Overall, the video is "
    "unrealistic at all."
)
SECTION: fields.Fields = {
    "control_path": fields.none_or(fields.file),
    "control_weight": fields.number(0, 1),
    "mask_path": fields.none_or(fields.file),
    "mask_prompt": fields.none_or(fields.text),
}
OWN: dict[str, fields.Fields] = {
    "edge": {"preset_edge_threshold": STRENGTH},
    "vis": {"preset_blur_strength": STRENGTH},
    "depth": {},
    "seg": {"control_prompt": fields.none_or(fields.text)},
}
SHARED: fields.Fields = {
    "prompt_path": fields.none_or(fields.file),
    "prompt": fields.text,
    "negative_prompt": fields.text,
    "video_path": fields.file,
    "max_frames": fields.none_or(fields.whole(1)),
    "seed": fields.whole(),
    "guidance": fields.whole(0, 7),
    "num_steps": fields.whole(1),
    "resolution": fields.text,
    "sigma_max": fields.none_or(fields.text),
    "num_conditional_frames": fields.one_of(0, 1, 2),
    "num_video_frames_per_chunk": fields.whole(1),
    "keep_input_resolution": fields.flag,
    "show_control_condition": fields.flag,
    "show_input": fields.flag,
    "context_frame_index": fields.none_or(fields.whole(1)),
    "image_context_path": fields.none_or(fields.file),
    "guided_generation_mask": fields.none_or(fields.text),
    "guided_generation_step_threshold": fields.whole(),
    "guided_generation_foreground_labels": fields.anything,
}
FIELDS: fields.Fields = {
    "name": fields.text,
    **SHARED,
    **{
        control: fields.none_or(fields.section(SECTION | OWN[control], strict=False))
        for control in CONTROLS
    },
}
DEFAULTS: Sample = {
    "negative_prompt": NEGATIVE_PROMPT,
    "max_frames": None,
    "seed": 2025,
    "guidance": 3,
    "num_steps": 35,
    "resolution": "720",
    "sigma_max": None,
    "num_conditional_frames": 1,
    "num_video_frames_per_chunk": 93,
    "keep_input_resolution": True,
    "show_control_condition": False,
    "show_input": False,
}
FLAGS = ("disable-guardrails", "offload-guardrail-models", "profile", "benchmark",
         "enable-parallel-tokenizer")  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Set-up arguments, and every shared field of a sample, with dashes and with underscores."""
    arguments = argparse.ArgumentParser(
        description="SIMULATOR of Cosmos-Transfer2.5", allow_abbrev=False
    )

    def add(name: str, *more: str, **how: Any) -> None:
        spellings = dict.fromkeys((f"--{name}", f"--{name.replace('-', '_')}"))
        arguments.add_argument(*more, *spellings, **how)

    models = list(CONTROLS)
    if os.environ.get("COSMOS_EXPERIMENTAL_CHECKPOINTS") == "1":
        models.append("edge/distilled")
    add("input-files", "-i", nargs="+", required=True)
    add("output-dir", "-o", required=True)
    add("model", choices=models, default="edge")
    for name in ("checkpoint-path", "experiment", "config-file"):
        add(name)
    add("context-parallel-size", type=int)
    for name in FLAGS:
        add(name, action=argparse.BooleanOptionalAction, default=False)
    add("keep-going", action=argparse.BooleanOptionalAction, default=True)
    add("compile-tokenizer", choices=["none", "moderate", "aggressive"], default="none")
    add("parallel-tokenizer-grid", type=int, nargs=2, default=[-1, -1])
    for field in SHARED:
        kind = int if field == "num_conditional_frames" else str
        add(field.replace("_", "-"), dest=f"field_{field}", type=kind)
    return arguments


def refuse(message: str) -> NoReturn:
    """A message on standard error, and the end."""
    if ranks.rank() == 0:
        print(message, file=sys.stderr, flush=True)
    sys.exit(1)


def read_samples(args: argparse.Namespace) -> tuple[list[Sample], list[str]]:
    """All samples of all files, and the controls that any of them has."""
    given = {key[6:]: value for key, value in vars(args).items() if key.startswith("field_")}
    overrides = {key: value for key, value in given.items() if value is not None}
    samples: list[Sample] = []
    for path in args.input_files:
        samples += from_file(Path(path), overrides)
    if not samples:
        refuse("Error: No inference samples")
    names: set[str] = set()
    for sample in samples:
        if sample["name"] in names:
            refuse(f"Error: Inference samplename {sample['name']} is not unique")
        names.add(sample["name"])
    return samples, [key for key in CONTROLS if any(key in hints(sample) for sample in samples)]


def from_file(path: Path, overrides: Sample) -> list[Sample]:
    """The samples of one file, whose paths are relative to its folder."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        found = [json.loads(text)]
    elif path.suffix == ".jsonl":
        found = [json.loads(line) for line in text.splitlines()]
    else:
        raise ValueError(f"Unsupported file extension: {path.suffix}")
    before = Path.cwd()
    os.chdir(path.parent)
    samples = []
    for i, values in enumerate(found):
        try:
            samples.append(validated(values | overrides))
        except fields.Invalid as fault:
            refuse(f"Error validating parameters from '{path}' at line {i}\n{fault}")
    os.chdir(before)
    return samples


def validated(values: Sample) -> Sample:
    """One sample with its defaults; fields.Invalid."""
    place = values.get("prompt_path")
    if values.get("prompt") is None and isinstance(place, str) and Path(place).is_file():
        values = values | {"prompt": Path(place).read_text(encoding="utf-8").strip()}
    title = "InferenceArguments"
    sample = DEFAULTS | fields.check(title, values, FIELDS, ("name", "video_path", "prompt"))
    if not hints(sample):
        invalid(title, "No controls provided, please provide at least one control key "
                       "(edge, blur, depth, seg)", values)  # fmt: skip
    if sample.get("vis") and sample.get("image_context_path"):
        invalid(
            title, "vis control and image_context_path are both used to transfer style.", values
        )
    for control in hints(sample):
        sample[control] = {"control_path": None, "control_weight": 1.0} | sample[control]
    return sample


def invalid(title: str, sentence: str, values: Sample) -> NoReturn:
    """A fault of the whole sample."""
    fault = fields.Fault(f"Value error, {sentence}", "value_error")
    raise fields.Invalid(fields.report(title, fields.Faults([("", fault, values)])))


def hints(sample: Sample) -> list[str]:
    """The controls of a sample."""
    return [control for control in CONTROLS if sample.get(control) is not None]
