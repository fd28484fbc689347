"""SIMULATOR of NVIDIA's scripts/test_environment.py: imports nothing, prints what it would print.

Packages that are to be missing are named by the environment variable COSMOS_SIMULATE_MISSING or by
a file `missing_packages` beside this one. The exit code is 0 even if one is missing, as in reality.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

PACKAGES = ("torch", "torchvision", "transformers", "megatron.core", "transformer_engine", "vllm",
            "pandas")  # fmt: skip
TRAINING = ("apex.multi_tensor_apply",)


def missing_packages() -> set[str]:
    """What this environment lacks."""
    file = Path(__file__).with_name("missing_packages")
    named = file.read_text(encoding="utf-8") if file.exists() else ""
    return set(f"{named} {os.environ.get('COSMOS_SIMULATE_MISSING', '')}".replace(",", " ").split())


def main() -> None:
    """One line a package."""
    arguments = argparse.ArgumentParser(description="SIMULATOR of test_environment.py")
    arguments.add_argument("--training", action="store_true")
    wanted = PACKAGES + (TRAINING if arguments.parse_args().training else ())
    print("SIMULATOR of NVIDIA's scripts/test_environment.py: nothing is imported")
    print("Attempting to import critical packages...")
    lacking = missing_packages()
    for name in wanted:
        if name in lacking:
            print(
                f"\033[91m[ERROR]\033[0m Package not successfully imported: \033[93m{name}\033[0m"
            )
        else:
            print(f"\033[92m[SUCCESS]\033[0m {name} found")
    if not lacking & set(wanted):
        print("-----------------------------------------------------------")
        print("\033[92m[SUCCESS]\033[0m Cosmos environment setup is successful!")


if __name__ == "__main__":
    main()
