"""Facts on Cosmos-Transfer1's code, weights and log lines. Pure.

Read in NVIDIA's code at the commit below, in `transfer.py` and the code that it calls. The list of
facts that were deduced and never seen on a GPU, with the place of their check, is in
docs/engines.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from cosmos_pipelines.engines.base import HostSetup, own_directories
from cosmos_pipelines.engines.cosmos import FAILURES, IGNORES, CosmosOptions
from cosmos_pipelines.engines.guardrail import SAID

CHUNK: Final = 121
"""Frames that are generated at once; chunks overlap by one frame."""
RANDOM: Final = frozenset({"vis", "edge"})
"""Controls that the model computes with random strengths, seeded once for each process: the second
run of a batch gets other strengths than alone."""
BASE_BLOCKS: Final = 28
BRANCH_BLOCKS: Final = 3
"""Blocks of the base network, and of each control's branch, which is executed at any weight
(cosmos-1-diffusion-control2world.py:303, general_dit_ctrl_enc.py:252): their number stands for the
time of a denoising step."""
REGION_CELLS: Final = (160, 88)
"""Columns and rows of the grid on which regions are drawn, whatever the size of the video: the
pipeline's own 1280x704, divided by 8 (world_generation_pipeline.py:494). Attention joins 2x2 cells
and takes those that are covered whole (`size=(1, 44, 80)`, attention.py:216)."""
T5_TOKENS: Final = 512
HUB_DEPTH: Final = "depth-anything/Depth-Anything-V2-Small-hf@main/model.safetensors"
HUB_SEG: Final = (
    "facebook/sam2-hiera-large@main/sam2_hiera_large.pt",
    "IDEA-Research/grounding-dino-tiny@main/model.safetensors",
)
"""Models that compute controls and masks, loaded by name from the Hugging Face cache."""
TOGETHER: Final = (
    "The runs of one forward pass (batch_size) share one draw of noise: the result is not to the "
    "pixel what this run would give alone."
)
PLAIN_PROMPT: Final = "A photorealistic, highly detailed video in high resolution."
"""For the upscale of a video without a prompt: in a batch, an empty prompt counts as unsafe."""

SETUP: Final = HostSetup(
    repository="https://github.com/nvidia-cosmos/cosmos-transfer1",
    commit="5005e823dbd478ad8e51f6bc28a913a13a994b5f",
    dockerfile="images/Dockerfile.transfer1",
    image="cosmos-pipelines/cosmos_transfer1:5005e823dbd4",
    smoke=("{python}", "scripts/test_environment.py"),
    manifest="checkpoints/cosmos_transfer1.json",
    directories=own_directories("cosmos_transfer1", "code", "checkpoints", "huggingface"),
    env={
        "PYTHONPATH": "{code}",
        "COSMOS_CHECKPOINTS": "{checkpoints}",
        "HF_HOME": "{huggingface}",
        # otherwise a T5 that fails to load is downloaded again, 45 GB in GPU time
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        # where rtmlib keeps its models: in the container's own home they would not stay
        "TORCH_HOME": "{huggingface}/torch",
    },
)

SAYS: Final[Mapping[str, Sequence[Any]]] = {
    "loaded": [r"running preprocessor"],
    "begins": [r"Running batch generation with batch_size=\d+"],
    "chunk": [r"Completed VAE decode"],
    "step": [],
    "failures": [
        *SAID,
        ("blocked", r"(Input text prompt \d+ is not safe)", "The guardrail refused the prompt."),
        ("blocked", r"(Generated video \d+ is not safe)", "The guardrail refused the video."),
        (
            "validation",
            r"(Sizes of tensors must match.*)",
            "Its controls have other sizes or lengths than its video: {1}",
        ),
        (
            "validation",
            r"(Temporal dimension \d+ is not divisible by chunk_length \d+)",
            "A region needs a clip of whole chunks: {1}",
        ),
        (
            "validation",
            r"(input tensor must fit into 32-bit index math)",
            "Too much in one pass: a batch_size, or a piece to upscale, that is too large.",
        ),
        (
            "out_of_memory",
            r"Failed to load T5 model.*(CUDA out of memory|OutOfMemoryError)",
            "The GPU's memory ran out while T5 was loaded.",
        ),
        (
            "launch_failed",
            r"(Failed to load T5 model) using cache_dir",
            "T5 could not be loaded from the checkpoints: is it complete, is the GPU empty?",
        ),
        *FAILURES,
        (
            "model_failed",
            r"(IndexError: list index out of range)",
            "{1}: where seg is computed, most likely nothing was found in the first frame; give a "
            "control_prompt, or segmentation.mp4.",
        ),
    ],
    "ignores": IGNORES,
}
"""Log lines: loguru on stdout, of the first GPU, without the sample's index. No line shows steps.

`begins` matches at each forward pass, so at each sample if a pass has one sample. No module is
hidden (`cosmos_transfer1/utils/log.py:52`). `tests/engines/nvidia_lines.py` has for each pattern a
real line, and the place that prints it.
"""

CHECKPOINTS: Final = (
    "nvidia/Cosmos-Transfer1-7B/base_model.pt",
    "nvidia/Cosmos-Tokenize1-CV8x8x8-720p/encoder.jit",
    "nvidia/Cosmos-Tokenize1-CV8x8x8-720p/decoder.jit",
    "nvidia/Cosmos-Tokenize1-CV8x8x8-720p/mean_std.pt",
    "nvidia/Cosmos-Guardrail1/video_content_safety_filter/safety_filter.pt",
    "nvidia/Cosmos-Guardrail1/video_content_safety_filter/"
    "models--google--siglip-so400m-patch14-384/refs/main",
    *(f"meta-llama/Llama-Guard-3-8B/model-0000{n}-of-00004.safetensors" for n in (1, 2, 3, 4)),
    "google-t5/t5-11b/pytorch_model.bin|google-t5/t5-11b/model.safetensors",
)
"""Files that every transfer and upscale loads; `a|b`: one of the two is enough."""
CONTROL_FILE: Final = "nvidia/Cosmos-Transfer1-7B/{}_control.pt"
DISTILLED_FILE: Final = "nvidia/Cosmos-Transfer1-7B/edge_control_distilled.pt"
UPSCALER_FILE: Final = "nvidia/Cosmos-Transfer1-7B/4kupscaler_control.pt"
UPSAMPLER_FILE: Final = "nvidia/Cosmos-UpsamplePrompt1-12B-Transfer/consolidated.safetensors"


class Transfer1Options(CosmosOptions):
    """`[cosmos_transfer1]` of cosmos.toml."""

    batch_size: int = Field(
        1, ge=1, le=6, description="runs in one forward pass: takes memory, changes pixels"
    )
    offload_text_encoder_model: bool = Field(True, description="load T5 only while it is used")
    offload_guardrail_models: bool = Field(
        True, description="load guardrails only while they are used"
    )
    offload_diffusion_transformer: bool = Field(
        False, description="load the transformer again for each pass"
    )
    free_vram_gib: float = Field(74, ge=0, description="refuse to start with less on each GPU")
    ram_gib: float = Field(45, ge=0, description="refuse a host with less memory, for each GPU")
