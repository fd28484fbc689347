"""Facts on Cosmos-Transfer2.5's code, weights and log lines. Pure.

Read in NVIDIA's code, in `config.py`, `inference.py` and the code that they call. The list of facts
that were deduced and never seen on a GPU, with the place of their check, is in docs/engines.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import Field, field_validator

from cosmos_pipelines.engines.base import HostSetup, own_directories
from cosmos_pipelines.engines.cosmos import FAILURES, IGNORES, CosmosOptions
from cosmos_pipelines.engines.geometry import SIZES_720, Size
from cosmos_pipelines.engines.guardrail import SAID
from cosmos_pipelines.engines.own_checkpoint import check_path, is_own

CHUNK: Final = 93
"""Frames that are generated at once; chunks overlap by 0, 1 or 2 frames."""
DISTILLED: Final = "edge/distilled"
DISTILLED_STEPS: Final = 4
MOST_GUIDANCE: Final = 7

DEPTH_FILE: Final = "cosmos_depth_models/video_depth_anything_vits/video_depth_anything_vits.pth"
"""The model that computes depth, below the Hugging Face cache but not in the cache's layout."""

SIZES: Final[Mapping[str, Mapping[str, Size]]] = {
    "480": {
        "1:1": (480, 480),
        "4:3": (640, 480),
        "3:4": (480, 640),
        "16:9": (768, 432),
        "9:16": (432, 768),
    },
    "720": SIZES_720,
    "1080": {
        "1:1": (1024, 1024),
        "4:3": (1440, 1056),
        "3:4": (1056, 1440),
        "16:9": (1920, 1056),
        "9:16": (1056, 1920),
    },
}
"""Working sizes; the result is resized back to the input's size."""

SETUP: Final = HostSetup(
    repository="https://github.com/nvidia-cosmos/cosmos-transfer2.5",
    commit="2ff49d0717af02057ae79bc75c00fbff9da1b4e7",
    dockerfile="images/Dockerfile.transfer2_5",
    image="cosmos-pipelines/cosmos_transfer2_5:2ff49d0717af",
    smoke=("{python}", "{scripts}/model/smoke_transfer2_5.py"),
    manifest="checkpoints/cosmos_transfer2_5.json",
    directories=own_directories("cosmos_transfer2_5", "code", "huggingface"),
    env={
        # only the checkout: the paths that NVIDIA's base images put there break the import
        "PYTHONPATH": "{code}",
        # otherwise the console shows no line of `cosmos_transfer2._src`: no chunk, no guardrail
        "COSMOS_VERBOSE": "1",
        "HF_HOME": "{huggingface}",
        # the model calls `uvx hf download` for each file, also if it is in the cache
        "HF_HUB_OFFLINE": "1",
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": "{huggingface}/uv",
    },
)

SAYS: Final[Mapping[str, Sequence[Any]]] = {
    "loaded": [r"Generating \d+ samples: "],
    "begins": [r"\[\d+/\d+\] Processing sample (?P<name>\S+)"],
    # a line marks the begin of a chunk, so the second chunk's line ends the first chunk
    "chunk": [r"Generating chunk (?!1/)\d+/\d+", r"Average time per chunk: "],
    "step": [r"Generating samples:\s+\d+%\|.*?\|\s*(?P<step>\d+)/(?P<steps>\d+) "],
    "failures": [
        *SAID,
        (
            "blocked",
            r"(Guardrail blocked generation\. Negative prompt)",
            "The guardrail refused the negative prompt.",
        ),
        (
            "blocked",
            r"(Guardrail blocked generation\. Prompt)",
            "The guardrail refused the prompt.",
        ),
        (
            "blocked",
            r"Unsafe frame count (\d+) is greater than \d+% of total frames (\d+)",
            "The guardrail refused the finished video: {1} of its {2} frames are unsafe; the lines "
            "before this one name the kind of each frame.",
        ),
        (
            "blocked",
            r"(Guardrail blocked video2world generation)",
            "The guardrail refused the finished video.",
        ),
        (
            "validation",
            r"(No input frames; cannot pad)",
            "A control is shorter than its video.",
        ),
        ("validation", r"(samplename \S+ is not unique)", "Two documents have one name: {1}"),
        ("validation", r"^(.+) \[type=\w+, input_value=", "The model refused its document: {1}"),
        (
            "launch_failed",
            r"CalledProcessError: Command '\['uvx'.*?'download', '([^']+)'",
            "{1} is not in the Hugging Face cache, or not at the revision that is wanted: "
            "`cosmos host checkpoints`.",
        ),
        ("launch_failed", r"FileNotFoundError.*'(uvx)'", "The image has no uvx, or no hf for it."),
        (
            "launch_failed",
            r"Could not find or download weights for (\w+)",
            f"What computes depth is not on the host, at {DEPTH_FILE}.",
        ),
        ("launch_failed", r"Checkpoint '([^']+)' not found", "The code knows no checkpoint {1}."),
        *FAILURES,
        (
            "model_failed",
            r"(No boxes detected\. Exiting)",
            "seg found nothing in the first frame of what it was told to look for.",
        ),
    ],
    "ignores": IGNORES,
}
"""Log lines: loguru on stdout, of the first GPU; the bar of the steps on stderr, one for each GPU.

With COSMOS_VERBOSE the filter of `cosmos_oss/init.py:76` shows all modules, and DEBUG lines too.
`tests/engines/nvidia_lines.py` has for each pattern a real line, and the place that prints it.
"""

_WEIGHTS: Final = "nvidia/Cosmos-Transfer2.5-2B@{}_ema_bf16.pt"
CONTROL_FILES: Final[Mapping[str, str]] = {
    "edge": _WEIGHTS.format(
        "b67b64abda3801a9aceddbff2bdb86126c06db74/general/edge/61f5694b-0ad5-4ecd-8ad7-c8545627d125"
    ),
    "vis": _WEIGHTS.format(
        "eb5325b77d358944da58a690157dd2b8071bbf85/general/blur/ba2f44f2-c726-4fe7-949f-597069d9b91c"
    ),
    "depth": _WEIGHTS.format(
        "dea7737ca29dd8d9086413c6dc5724b8250a0bb4/"
        "general/depth/626e6618-bfcd-4d9a-a077-1409e2ce353f"
    ),
    "seg": _WEIGHTS.format(
        "23057a4167b89de89a4a397fdbf3887994d115eb/general/seg/5136ef49-6d8d-42e8-8abf-7dac722a304a"
    ),
}
"""The weights of a run with this control alone; a run with several controls loads all four."""
DISTILLED_FILE: Final = _WEIGHTS.format(
    "bbaeedb2b57cc8b14a44653099e2551adb69dcc7/"
    "distilled/general/edge/41f07f13-f2e4-4e34-ba4c-86f595acbc20"
)
HUB: Final = (
    "nvidia/Cosmos-Predict2.5-2B@f176dc95b4a70f53ce01c4b302851595e7322b00/tokenizer.pth",
    "nvidia/Cosmos-Reason1-7B@3210bec0495fdc7a8d3dbb8d58da5711eab4b423/config.json",
    "nvidia/Cosmos-Guardrail1@d6d4bfa899a71454a700907664f3e88f503950cf/"
    "video_content_safety_filter/safety_filter.pt",
    "google/siglip-so400m-patch14-384@main/config.json",
    "Qwen/Qwen3Guard-Gen-0.6B@main/config.json",
)
"""Files that every run loads from the Hugging Face cache.

The table of weights in docs/engines.md says where each name was found.
"""
HUB_ALONE: Final = "google/siglip2-so400m-patch16-naflex@main/config.json"
"""Loaded in addition if there is one control and the model is not the distilled one."""
HUB_SEG: Final = (
    "facebook/sam2-hiera-large@main/sam2_hiera_large.pt",
    "IDEA-Research/grounding-dino-base@main/config.json",
)
"""Models that find seg and masks."""


class Transfer2_5Options(CosmosOptions):
    """`[cosmos_transfer2_5]` of cosmos.toml."""

    checkpoint: str = Field("", description="your own for one control: a .pt file on the host")
    checkpoint_control: Literal["edge", "vis", "depth", "seg"] = Field(
        "edge", description="the control of your checkpoint; other runs load NVIDIA's weights"
    )
    checkpoint_experiment: str = Field(
        "", description="name of the training's experiment, if NVIDIA's code has it"
    )
    offload_guardrail_models: bool = Field(
        False, description="load guardrails only while they are used"
    )
    free_vram_gib: float = Field(66, ge=0, description="refuse to start with less on each GPU")

    @field_validator("checkpoint")
    @classmethod
    def _file(cls, value: str) -> str:
        if value and not (is_own(value) and value.endswith(".pt")):  # the model reads no directory
            raise ValueError(f"{value!r} is not an absolute path of a .pt file on the host")
        if value:
            check_path(value)
        return value

    @field_validator("checkpoint_experiment")
    @classmethod
    def _name(cls, value: str) -> str:
        if value and not re.fullmatch(r"\w[\w.-]*", value, re.ASCII):
            raise ValueError(f"{value!r} is not the name of an experiment")
        return value
