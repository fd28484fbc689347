"""SIMULATOR of NVIDIA's Pixtral prompt upsampler: no model, no vLLM.

Behaviours, as words in the prompt: [sim:same] answers the prompt itself, [sim:raise], [sim:empty].
An answer holds the prompt, its words in brackets included: [sim:blocked WORD] makes an answer that
the guardrail of a later transfer refuses.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import av

from cosmos_transfer1 import checkpoints
from cosmos_transfer1.simulated import behaviour

MAX_MODEL_LEN = 4096
MAX_IMAGES = 2
PATCH = 16


class PixtralPromptUpsampler:
    """Answers a prompt and two images with a longer prompt."""

    def __init__(self, checkpoint_dir: str, offload_prompt_upsampler: bool = False) -> None:
        self.checkpoint_dir = checkpoint_dir
        self.offload_prompt_upsampler = offload_prompt_upsampler
        if not offload_prompt_upsampler:
            self._load_upsampler_model()

    def _load_upsampler_model(self) -> None:
        checkpoints.need(self.checkpoint_dir, f"{checkpoints.UPSAMPLER}/consolidated.safetensors")
        if os.environ.get("VLLM_WORKER_MULTIPROC_METHOD") != "spawn":
            raise RuntimeError(
                "Cannot re-initialize CUDA in forked subprocess. To use CUDA with "
                "multiprocessing, you must use the 'spawn' start method"
            )

    def _prompt_upsample_with_offload(self, prompt: str, video_path: str | list[str]) -> str:
        """The longer prompt; `video_path` is a video or a list of image files."""
        if self.offload_prompt_upsampler:
            self._load_upsampler_model()
        images = extract(video_path) if isinstance(video_path, str) else video_path
        return self._answer(prompt or "describe the following images", images)

    def _answer(self, prompt: str, images: list[str]) -> str:
        if len(images) > MAX_IMAGES:
            raise ValueError(
                f"You set or defaulted to {{'image': {MAX_IMAGES}}} in `limit_mm_per_prompt`, but "
                f"found {len(images)} items in the same prompt."
            )
        tokens = sum(tokens_of(image) for image in images)
        if tokens > MAX_MODEL_LEN:
            raise ValueError(
                f"The prompt (total length {tokens}) is too long to fit into the model (context "
                f"length {MAX_MODEL_LEN}). Make sure that `max_model_len` is no smaller than the "
                "number of text tokens plus multimodal tokens."
            )
        told = behaviour.told(prompt)
        if "raise" in told:
            raise RuntimeError(told["raise"] or "EngineCore encountered an issue")
        if "empty" in told:
            return ""
        return prompt if "same" in told else f"{prompt} Seen by a simulator of Pixtral."


def extract(video: str) -> list[str]:
    """The first two frames, in files of fixed names that all processes of a host share."""
    names = []
    with av.open(video) as file:
        for i, frame in enumerate(file.decode(video=0), 1):
            names.append(str(Path(tempfile.gettempdir(), f"frame_{i}.png")))
            frame.to_image().save(names[-1])
            if i == MAX_IMAGES:
                break
    return names


def tokens_of(image: str) -> int:
    """How much of the model's context an image takes."""
    with av.open(image) as file:
        return (file.streams.video[0].width // PATCH) * (file.streams.video[0].height // PATCH)
