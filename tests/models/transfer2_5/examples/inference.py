"""SIMULATOR of NVIDIA's examples/inference.py of Cosmos-Transfer2.5: same arguments, same files,
same words, no model. What it does with a sample is told by words in the sample's prompt; see
cosmos_transfer2/simulated/behaviour.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the real package is installed

from cosmos_transfer2 import config
from cosmos_transfer2.inference import Control2WorldInference, init_output_dir
from cosmos_transfer2.simulated import log, ranks

DISTRIBUTED = "cosmos_transfer2/_src/imaginaire/utils/distributed.py"
BENCHMARK_REPEATS = 4


def init_environment() -> None:
    """See packages/cosmos-oss/cosmos_oss/init.py:138: every process of torchrun joins at once."""
    if "RANK" in os.environ:
        ranks.join()
        log.critical(
            f"Initialized distributed training with local rank {ranks.rank()} with timeout 1800",
            DISTRIBUTED,
            rank0_only=False,
        )
        log.info(f"Training with {ranks.world()} GPUs.", DISTRIBUTED)


def main() -> None:
    """Check everything, load, make."""
    args = config.parser().parse_args()
    own = args.checkpoint_path
    if own and not Path(own).exists():
        config.refuse(f"Value error, Checkpoint '{Path(own).absolute()}' does not exist.")
    samples, controls = config.read_samples(args)
    init_output_dir(args.output_dir)
    if args.benchmark and len(samples) == 1:
        samples = samples * BENCHMARK_REPEATS
    Control2WorldInference(args, controls, samples).generate(samples)


if __name__ == "__main__":
    log.introduce("examples/inference.py of Cosmos-Transfer2.5", "transfer2_5")
    init_environment()
    main()
