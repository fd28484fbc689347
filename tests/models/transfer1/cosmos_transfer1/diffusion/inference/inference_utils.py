"""Reading and checking of control specs: part of the simulator of Cosmos-Transfer1."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cosmos_transfer1 import checkpoints
from cosmos_transfer1.simulated import log

Sections = dict[str, dict[str, Any]]

HINTS = set(checkpoints.CONTROLS)
CHUNK = 121
OVERLAP = 1
BUCKETS = {16 / 9: (1280, 704), 4 / 3: (960, 704), 1.0: (960, 960), 3 / 4: (704, 960),
           9 / 16: (704, 1280)}  # fmt: skip


def bucket_of(width: int, height: int) -> tuple[int, int]:
    """The working size, width and height, of the nearest aspect."""
    nearest = min(BUCKETS, key=lambda aspect: (aspect - width / height) ** 2)
    return BUCKETS[nearest]


def load_controlnet_specs(path: str) -> tuple[Sections, dict[str, Any]]:
    """Control sections and all other keys of a spec file."""
    spec = json.loads(Path(path).read_text(encoding="utf-8"))
    sections, others = {}, {}
    for key, value in spec.items():
        if key in HINTS:
            sections[key] = value
        elif isinstance(value, dict):
            raise ValueError(f"Invalid hint_key: {key}. Must be one of {HINTS}")
        else:
            others[key] = value
    return sections, others


def validate_controlnet_specs(cfg: argparse.Namespace, sections: Sections) -> Sections:
    """Check the sections and fill in checkpoint and weight; no file is looked for."""
    for hint, section in sections.items():
        if not cfg.input_video_path and cfg.sigma_max < 80:
            raise ValueError("Must have 'input_video' specified if sigma_max < 80")
        if not cfg.input_video_path and "input_control" not in section:
            raise ValueError(
                f"{hint} controlnet must have 'input_control' video specified "
                "if no 'input_video' specified."
            )
        if "ckpt_path" not in section:
            log.info(f"No checkpoint path specified for {hint}. Using default.")
            section["ckpt_path"] = str(Path(cfg.checkpoint_dir, default_checkpoint(cfg, hint)))
        if "control_weight" not in section:
            log.warning(f"No control weight specified for {hint}. Setting to 0.5.")
            section["control_weight"] = "0.5"
        elif not str(section["control_weight"]).endswith(".pt"):
            check_weight(hint, section["control_weight"])
    return sections


def default_checkpoint(cfg: argparse.Namespace, hint: str) -> str:
    """A control's checkpoint below the checkpoint directory."""
    if not cfg.use_distilled:
        return checkpoints.CONTROLS[hint]
    if hint != "edge":
        raise ValueError(f"No default distilled checkpoint for {hint}")
    return checkpoints.EDGE_DISTILLED


def check_weight(hint: str, weight: Any) -> None:
    """ValueError for a weight that is no number or below zero."""
    try:
        if float(weight) < 0:
            raise ValueError(f"Control weight for {hint} must be non-negative.")
    except ValueError:
        raise ValueError(
            f"Control weight for {hint} must be a valid non-negative float or a path to a .pt file."
        ) from None


def read_prompts_from_file(path: str) -> list[dict[str, Any]]:
    """One sample a line; a blank line is a JSONDecodeError."""
    with Path(path).open(encoding="utf-8") as file:
        return [json.loads(line.strip()) for line in file]
