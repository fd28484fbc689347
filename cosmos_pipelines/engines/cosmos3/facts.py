"""Facts on Cosmos 3's transfers: NVIDIA's framework, its weights and log lines. Pure.

Read in files of several commits of the framework; the commit below is the only one that several of
these files belong to, and no tag or release names another. That this commit knows `weight` was
deduced from the order in which files were renamed. `checks.py` refuses unknown cases; nothing is
guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field, field_validator

from cosmos_pipelines.engines.base import HostSetup, own_directories
from cosmos_pipelines.engines.cosmos import FAILURES, IGNORES, CosmosOptions
from cosmos_pipelines.engines.geometry import Size
from cosmos_pipelines.engines.guardrail import SAID
from cosmos_pipelines.engines.own_checkpoint import check_path, is_own

CHUNK: Final = 121
"""Frames that are generated at once, as in NVIDIA's own transfers; the code's default is 93."""
MOST_GUIDANCE: Final = 7.0
CONTROL_GUIDANCE: Final = 1.5
SEG_GUIDANCE: Final = 2.0
"""How strictly controls are followed; SEG_GUIDANCE for seg alone.

Both values are `_TRANSFER_DEFAULTS` of `cosmos_framework/inference/args.py:794`, and are in the
specs of NVIDIA's own transfers. The framework sets them only for a single control and would leave 1
for several, so the value is always written. `shift` is not: it is 10 for every transfer
(`defaults/video2video/sample_args.json`).
"""
HINTS: Final[Mapping[str, str]] = {
    "edge": "edge",
    "vis": "blur",
    "depth": "depth",
    "seg": "seg",
}
"""The framework's names of the controls, in the order of their use."""

SIZES: Final[Mapping[str, Mapping[str, Size]]] = {
    "256": {
        "1:1": (256, 256),
        "4:3": (320, 256),
        "3:4": (256, 320),
        "16:9": (320, 192),
        "9:16": (192, 320),
    },
    "480": {
        "1:1": (640, 640),
        "4:3": (736, 544),
        "3:4": (544, 736),
        "16:9": (832, 480),
        "9:16": (480, 832),
    },
    "720": {
        "1:1": (960, 960),
        "4:3": (1104, 832),
        "3:4": (832, 1104),
        "16:9": (1280, 720),
        "9:16": (720, 1280),
    },
}
"""Sizes of the result: all inputs are scaled to cover the size, and cut at the edges."""

CHECKPOINTS: Final = ("Cosmos3-Nano", "Cosmos3-Super")
"""Checkpoints that the framework knows by name and that make transfers."""
SUPER_GIB: Final = 120
"""GPU memory of Super over all GPUs together: 128 GB."""
SUPER_GPUS: Final = (4, 8)

_PARTS: Final = "cosmos_framework.scripts.inference, cosmos_framework.inference.transfer"

SETUP: Final = HostSetup(
    repository="https://github.com/NVIDIA/cosmos-framework",
    commit="0c4b34eba4cbec3246121a4525c645add18939ff",
    dockerfile="images/Dockerfile.cosmos3",
    image="cosmos-pipelines/cosmos3:0c4b34eba4cb",
    smoke=("{python}", "-c", f"import {_PARTS}; print('[SUCCESS] cosmos_framework')"),
    manifest="checkpoints/cosmos3.json",
    directories=own_directories("cosmos3", "code", "huggingface"),
    env={
        "PYTHONPATH": "{code}",
        "PYTHONNOUSERSITE": "1",
        # NVIDIA's base images name another libtorch in this variable, which breaks the import
        "LD_LIBRARY_PATH": "",
        "HF_HOME": "{huggingface}",
        # the framework calls `uvx hf download` for each repository, also if it is in the cache
        "HF_HUB_OFFLINE": "1",
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": "{huggingface}/uv",
    },
)

SAYS: Final[Mapping[str, Sequence[Any]]] = {
    "loaded": [r"Saved sample args to '"],
    "begins": [r"Saved sample args to '.*?(?P<name>[^/']+)/sample_args\.json'"],
    # no line marks the end of a chunk; the steps start again at 1
    "chunk": [],
    "step": [r"Sampling:\s+\d+%\|.*?\|\s*(?P<step>\d+)/(?P<steps>\d+) "],
    "failures": [
        *SAID,
        (
            "validation",
            r"(Missing pre-computed control input for '[^']+')",
            "A control has no file, and the model cannot compute it: {1}",
        ),
        (
            "validation",
            r"(Cannot pad an empty frame tensor)",
            "A control is shorter than the first one.",
        ),
        ("validation", r"^(.+) \[type=\w+, input_value=", "The model refused its document: {1}"),
        (
            "launch_failed",
            # `--format=json` stands between `download` and the repository
            r"CalledProcessError: Command '\['uvx'.*?'download', (?:'-[^']*', )*'([^']+)'",
            "{1} is not in the Hugging Face cache: `cosmos host checkpoints`.",
        ),
        ("launch_failed", r"FileNotFoundError.*'(uvx)'", "The image has no uvx, or no hf for it."),
        ("validation", r"(control_weights must have a positive sum)", "All weights are 0."),
        *FAILURES,
        ("model_failed", r"Error generating sample '[^']+': (.+)", "{1}"),
    ],
    "ignores": IGNORES,
}
"""Log lines: loguru on stdout; the bar of the steps on stderr; both only of the first GPU.

The filter of `inference/common/init.py:95` hides no module that takes part in a transfer. The code
has the lines of a guardrail, but a transfer runs none. `tests/engines/nvidia_lines.py` has for each
pattern a real line, and the place that prints it.
"""

HUB: Final = (
    "Wan-AI/Wan2.2-TI2V-5B@921dbaf3f1674a56f47e83fb80a34bac8a8f203e/Wan2.2_VAE.pth",
    "nvidia/Cosmos3-Nano@main/sound_tokenizer/config.json",
    "nvidia/Cosmos-Guardrail1@d6d4bfa899a71454a700907664f3e88f503950cf/"
    "face_blur_filter/Resnet50_Final.pth",
    "Qwen/Qwen3Guard-Gen-0.6B@main/config.json",
)
"""Files that are loaded with every checkpoint, though a transfer uses neither sound nor guardrails.

The table of weights in docs/engines.md says where each name was found.
"""


class Cosmos3Options(CosmosOptions):
    """`[cosmos3]` of cosmos.toml."""

    checkpoint: str = Field(
        "Cosmos3-Nano",
        description="or Cosmos3-Super, which takes 4 GPUs or 8; or a directory of your own",
    )
    offload_guardrail_models: bool = Field(
        False, description="load guardrails only while they are used"
    )
    free_vram_gib: float = Field(30, ge=0, description="refuse to start with less on each GPU")

    @field_validator("checkpoint")
    @classmethod
    def _known(cls, value: str) -> str:
        if is_own(value):
            check_path(value)
        elif value not in CHECKPOINTS:
            known = " or ".join(CHECKPOINTS)
            raise ValueError(f"{value!r} is not {known}, nor an absolute path on the host")
        return value
