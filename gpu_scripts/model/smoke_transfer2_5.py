"""Import what inference with Cosmos-Transfer2.5 needs, and look for a GPU.

Started in the model's checkout with the model's Python. Prints `[SUCCESS] name` or `[ERROR] name:
reason` for each module; exit code 0 only if there is no error. Downloads nothing: NVIDIA's modules
that fetch weights during their import are left out.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

MODULES = (
    ("torch", "torch"),
    ("torchvision", "torchvision"),
    ("transformers", "transformers"),
    ("flash_attn", "flash_attn"),
    ("transformer_engine", "transformer_engine.pytorch"),
    ("megatron.core", "megatron.core"),
    ("pynvml", "pynvml"),
    ("cv2", "cv2"),
    ("mediapy", "mediapy"),
    ("einops", "einops"),
    ("tyro", "tyro"),
    ("pydantic", "pydantic"),
    ("cosmos_oss", "cosmos_oss.init"),
    ("cosmos_transfer2", "cosmos_transfer2.config"),
)
"""Printed name, and the module that the inference imports."""


def main() -> int:
    """Import all modules; return the exit code."""
    sys.path.insert(0, str(Path.cwd()))
    missing = [name for name, module in MODULES if not imported(name, module)]
    return 1 if [*missing, *([] if gpu() else ["cuda"])] else 0


def imported(name: str, module: str) -> bool:
    """Import a module and print the result; False for an error."""
    try:
        importlib.import_module(module)
    except Exception as e:  # noqa: BLE001  a broken package raises anything: OSError, RuntimeError
        return reported(name, f"{type(e).__name__}: {e}")
    return reported(name, None)


def gpu() -> bool:
    """Whether PyTorch can use a GPU."""
    try:
        import torch  # type: ignore[import-not-found,unused-ignore]

        usable = torch.cuda.is_available()
    except Exception as e:  # noqa: BLE001  see above
        return reported("cuda", f"{type(e).__name__}: {e}")
    return reported("cuda", None if usable else "PyTorch finds no usable GPU")


def reported(name: str, reason: str | None) -> bool:
    """Print the result in one line; False for an error."""
    if reason is None:
        print(f"[SUCCESS] {name}", flush=True)
    else:
        print(f"[ERROR] {name}: {' '.join(reason.split())}", flush=True)
    return reason is None


if __name__ == "__main__":
    sys.exit(main())
