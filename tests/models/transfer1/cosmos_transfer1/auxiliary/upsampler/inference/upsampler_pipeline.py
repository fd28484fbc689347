"""SIMULATOR of NVIDIA's upsampler_pipeline.py: the class as a library, and a program that needs
every variable of torchrun, writes no file and prints its answer.
"""

from __future__ import annotations

import argparse
import os

from cosmos_transfer1.auxiliary.upsampler.model.upsampler import PixtralPromptUpsampler
from cosmos_transfer1.simulated import log

__all__ = ["PixtralPromptUpsampler"]

TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK",
            "ROLE_NAME", "OMP_NUM_THREADS", "MASTER_ADDR", "MASTER_PORT",
            "TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_MAX_RESTARTS", "TORCHELASTIC_RUN_ID",
            "TORCH_NCCL_ASYNC_ERROR_HANDLING", "TORCHELASTIC_ERROR_FILE")  # fmt: skip


def main() -> None:
    """Answer one prompt; a variable of torchrun that is not set is a KeyError."""
    arguments = argparse.ArgumentParser(description="SIMULATOR of upsampler_pipeline.py")
    arguments.add_argument("--prompt", type=str, required=True)
    arguments.add_argument("--input_video", type=str, required=True)
    arguments.add_argument("--checkpoint_dir", type=str, default="checkpoints")
    arguments.add_argument("--offload_prompt_upsampler", action="store_true")
    args = arguments.parse_args()
    rank = int(os.environ["RANK"])
    for name in TORCHRUN:
        del os.environ[name]
    if rank == 0:
        upsampler = PixtralPromptUpsampler(args.checkpoint_dir, args.offload_prompt_upsampler)
        answer = upsampler._prompt_upsample_with_offload(args.prompt, args.input_video)
        print(f"Upsampled prompt: {answer}")


if __name__ == "__main__":
    log.introduce("upsampler_pipeline.py")
    main()
