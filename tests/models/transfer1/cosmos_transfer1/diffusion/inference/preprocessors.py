"""Computes control videos that a spec does not bring: part of the simulator of Transfer1."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from cosmos_transfer1 import checkpoints
from cosmos_transfer1.simulated import log, videos

COMPUTED = ("vis", "edge", "depth", "seg", "keypoint")
OFFLINE = (
    "We couldn't connect to 'https://huggingface.co' to load the files, "
    "and couldn't find them in the cached files."
)


def preprocess(
    video: str | None, prompt: str | None, sections: dict[str, dict[str, Any]], folder: str
) -> None:
    """Write what is missing as <hint>_input_control_<local rank>.mp4 and name it in the section."""
    local_rank = os.environ.get("LOCAL_RANK", "0")
    for hint, section in sections.items():
        if hint in COMPUTED and section.get("input_control") is None:
            out = Path(folder, f"{hint}_input_control_{local_rank}.mp4")
            section["input_control"] = str(out)
            compute(hint, video, prompt, section, out)
        if hint == "seg" and section.get("control_weight_prompt") is not None:
            need_hub("seg")
            weights = Path(folder, f"seg_control_weight_{local_rank}.pt")
            weights.write_bytes(b"SIMULATED")
            section["control_weight"] = str(weights)


def compute(
    hint: str, video: str | None, prompt: str | None, section: dict[str, Any], out: Path
) -> None:
    """One control video of the source's own size; AssertionError if the source is not there."""
    with_what = {"depth": "DepthAnythingModel", "keypoint": "Openpose"}.get(hint, hint)
    if hint == "seg":
        words = section.get("input_control_prompt", prompt)
        with_what = f"SAM using prompt={' '.join(words.split()[:128])!r}"
    log.info(
        f"no input_control provided for {hint}. generating input control video with {with_what}"
    )
    need_hub(hint)
    assert os.path.exists(video)  # noqa: PTH110 - None is a TypeError here, as in the real one
    source = videos.read(video)
    even = replace(source, width=source.width // 8 * 8 or 8, height=source.height // 8 * 8 or 8)
    rate = source.rate if hint == "depth" else Fraction(30)
    videos.write(out, replace(even, rate=rate), f"{hint} control by cosmos-transfer1")


def need_hub(hint: str) -> None:
    """OSError if the models that compute this control are not in the Hugging Face cache."""
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    for name in checkpoints.HUB.get(hint, ()):
        snapshots = Path(home).expanduser() / "hub" / name / "snapshots"
        if not any(checkpoints.there(path) for path in snapshots.glob("*")):
            raise OSError(f"{OFFLINE} ({name} is not below {snapshots.parent.parent})")
