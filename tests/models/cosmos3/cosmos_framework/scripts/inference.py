"""SIMULATOR of NVIDIA's cosmos_framework.scripts.inference, transfers only: same arguments, same
files, same words, no model. What it does with a sample is told by words in the sample's prompt;
see cosmos_framework/simulated/behaviour.py.
"""

from __future__ import annotations

from pathlib import Path

from cosmos_framework import args as arguments
from cosmos_framework import transfer
from cosmos_framework.simulated import log, ranks


def init_script() -> None:
    """See cosmos_framework/inference/common/init.py:203: the processes of torchrun join at once."""
    if ranks.world() > 1:
        ranks.join()
        log.critical(
            f"Initialized distributed training with local rank {ranks.rank()} with timeout 1800",
            "cosmos_framework/utils/distributed.py",
            rank0_only=False,
        )


def main() -> None:
    """Check everything, load, make one after the other."""
    args = arguments.parser().parse_args()
    samples = arguments.read_samples(args)
    Path(args.output_dir).mkdir(parents=True, exist_ok=True)
    if ranks.rank() == 0:
        for kind in ("Console", "Debug"):
            path = Path(args.output_dir, f"{kind.lower()}.log")
            log.info(f"{kind} log saved to {path}", "cosmos_framework/inference/common/init.py")
    log.also_to(Path(args.output_dir, "console.log"), "INFO")
    log.also_to(Path(args.output_dir, "debug.log"), "DEBUG", all_modules=True)
    log.info(f"Loaded {len(samples)} samples")
    transfer.load(args, samples)
    for i, sample in enumerate(samples):
        transfer.make(args, sample)
        ranks.together(f"sample_{i}")


if __name__ == "__main__":
    log.introduce("cosmos_framework.scripts.inference (Cosmos 3)", "cosmos3", job="job=|")
    init_script()
    main()
