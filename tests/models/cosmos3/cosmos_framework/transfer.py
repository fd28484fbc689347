"""Loads nothing and makes grey videos: part of the simulator of the framework of Cosmos 3."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from cosmos_framework.args import ASPECTS, Sample, hints
from cosmos_framework.simulated import behaviour, guardrail, hub, log, ranks, videos

HF = ("uvx", "--with", "click", "hf@1.16.4", "download", "--format=json")
REGISTRY = {"Cosmos3-Nano": "nvidia/Cosmos3-Nano", "Cosmos3-Super": "nvidia/Cosmos3-Super"}
GPUS_OF_SUPER = 4
GUARDRAIL = "nvidia/Cosmos-Guardrail1"
GUARDRAIL_AT = "d6d4bfa899a71454a700907664f3e88f503950cf"
VAE = ("Wan-AI/Wan2.2-TI2V-5B", "Wan2.2_VAE.pth", "921dbaf3f1674a56f47e83fb80a34bac8a8f203e")
COMPUTED = ("edge", "blur")
TRANSFER = "cosmos_framework/inference/transfer.py"
INFERENCE = "cosmos_framework/inference/inference.py"
COMMON = "cosmos_framework/inference/common/inference.py"
"""Files of the real code whose lines this file prints."""
SIZES = {
    "256": {"16,9": (320, 192), "9,16": (192, 320), "4,3": (320, 256), "3,4": (256, 320),
            "1,1": (256, 256)},
    "480": {"16,9": (832, 480), "9,16": (480, 832), "4,3": (736, 544), "3,4": (544, 736),
            "1,1": (640, 640)},
    "720": {"16,9": (1280, 720), "9,16": (720, 1280), "4,3": (1104, 832), "3,4": (832, 1104),
            "1,1": (960, 960)},
    "768": {"16,9": (1360, 768), "9,16": (768, 1360), "4,3": (1184, 880), "3,4": (880, 1184),
            "1,1": (1024, 1024)},
}  # fmt: skip


def load(args: argparse.Namespace, samples: list[Sample]) -> None:
    """Check processes and weights as loading would."""
    world = ranks.world()
    cfgp = args.cfgp_size or (min(2, world) if args.parallelism_preset == "latency" else 1)
    cp = args.cp_size or (world // cfgp if args.parallelism_preset == "latency" else 1)
    shards = (args.dp_shard_size or world) * (args.dp_replicate_size or 1)
    for size, name in ((cfgp * cp, "cp_size * cfgp_size"), (shards, "dp sizes")):
        if size > world or world % size or (cfgp > 1 and world % cfgp):
            raise ValueError(f"{name} ({size}) must divide WORLD_SIZE ({world})")
    hub.fail_as_told(HF, (told(sample) for sample in samples), GUARDRAIL)
    if args.guardrails:
        hub.need(HF, GUARDRAIL, revision=GUARDRAIL_AT)
        hub.load("Qwen/Qwen3Guard-Gen-0.6B")
    if args.checkpoint_path in REGISTRY:
        hub.need(HF, REGISTRY[args.checkpoint_path])
    else:
        need_local(Path(args.checkpoint_path))
    hub.need(HF, *VAE)
    sound = "sound_tokenizer/config.json"
    hub.need(HF, "nvidia/Cosmos3-Nano", sound, include="sound_tokenizer/*")
    if "Super" in args.checkpoint_path and world < GPUS_OF_SUPER:
        raise behaviour.OutOfMemory("CUDA out of memory. Tried to allocate 20.00 GiB.")


def need_local(place: Path) -> None:
    """ValueError if this folder holds no weights in either of the two forms."""
    place = place / "model" if (place / "model").is_dir() else place
    if any(place.glob("*.safetensors")) and (place / "config.json").is_file():
        return
    if any(place.glob("*.distcp")) and (place / ".metadata").is_file():
        return
    raise ValueError(f"Invalid checkpoint path: '{place}'")


def make(args: argparse.Namespace, sample: Sample) -> None:
    """One sample; what fails outside of the sampling is only logged with --keep-going."""
    folder = Path(args.output_dir, sample["name"])
    if ranks.rank() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sample_args.json").write_text(json.dumps(sample), encoding="utf-8")
        path = folder / "sample_args.json"
        log.info(f"Saved sample args to '{path}'", INFERENCE, rank0_only=False)
    try:
        build(sample)
    except ValueError as fault:
        fail(args, sample, fault)
        return
    clip, controls = sampled(sample)
    try:
        guard(sample, folder)
    except ValueError as fault:
        fail(args, sample, fault)
        return
    if ranks.rank() == 0:
        save(sample, folder, clip, controls)


def fail(args: argparse.Namespace, sample: Sample, fault: ValueError) -> None:
    """A line, or the end."""
    message = f"Error generating sample '{sample['name']}': {fault}"
    if not args.keep_going:
        raise ValueError(message) from fault
    log.error(message, COMMON)


def build(sample: Sample) -> None:
    """What is found only when the model is there."""
    for hint in hints(sample):
        if not sample["vision_path"] and not sample[hint].get("control_path"):
            raise ValueError(
                "transfer inference requires 'vision_path' or a pre-computed 'control_path' "
                f"(hint: {hint})"
            )


def sampled(sample: Sample) -> tuple[videos.Clip, dict[str, videos.Clip]]:
    """The output's shades, and each control's."""
    controls = {hint: control(sample, hint) for hint in hints(sample)}
    log.info(f"[transfer] final user prompt: {sample['prompt']}", TRANSFER)
    first = next(iter(controls.values()))
    one = first.frames == 1
    assert one == (sample["num_frames"] == 1), "num_frames and the control do not agree"
    weights = [sample[hint].get("weight", 1.0) for hint in controls]
    assert sum(weights) > 0, "control weights must not sum to 0"
    behaviour.at_text_encoder(told(sample))
    chunks(sample, first.frames, controls)
    rate = Fraction(sample["fps"])
    if sample["vision_path"]:
        read = videos.read(sample["vision_path"]).rate
        rate = Fraction(f"{float(read):.2f}")  # imageio-ffmpeg: "-r", "{:.02f}".format(fps)
    width, height = size_of(sample, first)
    beside = sample["show_control_condition"] * len(controls) + sample["show_input"]
    return (
        replace(first, width=width * (1 + beside), height=height, rate=rate),
        {hint: replace(c, width=width, height=height, rate=rate) for hint, c in controls.items()},
    )


def control(sample: Sample, hint: str) -> videos.Clip:
    """A control from its file, or computed from the input video."""
    path = sample[hint].get("control_path")
    if path:
        log.info(f"Loaded pre-computed {hint} control from {path}", TRANSFER)
    elif hint in COMPUTED:
        log.info(f"Computing {hint} control input on the fly", TRANSFER)
        path = sample["vision_path"]
    else:
        raise FileNotFoundError(
            f"Missing pre-computed control input for '{hint}'. "
            "Provide a control_path in the transfer config."
        )
    return videos.read(path, sample["max_frames"])


def chunks(sample: Sample, frames: int, controls: dict[str, videos.Clip]) -> None:
    """Progress, and the failures that a sample is told."""
    chunk = -(-(sample["num_video_frames_per_chunk"] - 1) // 4) * 4 + 1
    fresh = chunk - sample["num_conditional_frames"]
    assert fresh > 0, "num_conditional_frames must be smaller than a chunk"
    for i in range(1 + max(0, -(-(frames - chunk) // fresh))):
        if any(clip.frames <= i * fresh for clip in controls.values()):
            raise ValueError("Cannot pad an empty frame tensor.")
        if i == 0:
            behaviour.at_sampling(told(sample))
        for step in range(sample["num_steps"] + 1):
            if ranks.rank() == 0:
                log.tick(step, sample["num_steps"], "Sampling: ")
            behaviour.denoise(told(sample), int(step > 0))


def size_of(sample: Sample, first: videos.Clip) -> tuple[int, int]:
    """Width and height; a given aspect counts only with an input video."""
    source = videos.read(sample["vision_path"], 1) if sample["vision_path"] else first
    shape = source.width / source.height
    nearest = min(ASPECTS, key=lambda name: abs(ASPECTS[name] - shape))
    if sample["vision_path"] and sample["aspect_ratio"]:
        nearest = sample["aspect_ratio"]
    return SIZES[sample["resolution"]][nearest]


def guard(sample: Sample, folder: Path) -> None:
    """The real transfer runs no guardrail; refuse only if told, in the words of other modes."""
    does = told(sample)
    if "blocked" in does:
        log.critical(
            "GUARDRAIL BLOCKED: BLOCKLIST: Prompt blocked by exact match blocklist: "
            f"Prompt: {sample['prompt']}, Exact Match Word: {does['blocked']}",
            COMMON,
        )
        raise ValueError(f"Guardrail blocked prompt '{folder}': '{sample['prompt']}'")
    if "video_blocked" in does:
        log.critical(guardrail.UNSAFE_VIDEO, COMMON)
        raise ValueError(f"Guardrail blocked video '{folder}': unsafe frames detected")


def save(sample: Sample, folder: Path, clip: videos.Clip, controls: dict[str, videos.Clip]) -> None:
    """The video, the controls, the outputs' file last."""
    does = told(sample)
    made = [write(videos.spoilt(clip, does), folder / "vision")] if "lie" not in does else []
    for hint, shown in controls.items():
        made.append(write(shown, folder / f"control_{hint}"))
        log.info(f"Saved control video to '{made[-1]}'", INFERENCE, rank0_only=False)
    outputs = folder / "sample_outputs.json"
    if not {"no_text", "lie"} & set(does):
        listed = [{"content": {}, "files": made}]
        answer = {"args": sample, "status": "success", "message": None, "outputs": listed}
        outputs.write_text(json.dumps(answer), encoding="utf-8")
    log.success(f"Saved transfer outputs to '{outputs}'", INFERENCE, rank0_only=False)


def write(clip: videos.Clip, stem: Path) -> str:
    """A video, or an image of one frame; the file's name."""
    if clip.frames > 1:
        videos.write(stem.with_suffix(".mp4"), clip, "video by Cosmos 3")
        return str(stem.with_suffix(".mp4"))
    image = videos.grey(clip.width, clip.height, clip.lumas[0]).to_image()
    image.save(stem.with_suffix(".jpg"), comment=b"SIMULATED image by Cosmos 3")
    return str(stem.with_suffix(".jpg"))


def told(sample: Sample) -> behaviour.Told:
    """What a sample's prompt says."""
    return behaviour.told(sample["prompt"])
