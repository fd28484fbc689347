"""Import what inference with Cosmos-Transfer2.5 needs, and look for a GPU.

Started in its checkout with its Python. Prints `[SUCCESS] name` or `[ERROR] name: reason` for each;
exit code 0 only if there is no error. Nothing is downloaded: modules of NVIDIA's that fetch weights
when they are imported are left alone.
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
"""Name that is told, and the module that the inference imports of it."""


def main() -> int:
    """Import one after the other; the exit code."""
    sys.path.insert(0, str(Path.cwd()))
    missing = [name for name, module in MODULES if not imported(name, module)]
    return 1 if [*missing, *([] if gpu() else ["cuda"])] else 0


def imported(name: str, module: str) -> bool:
    """Import a module, say how it went."""
    try:
        importlib.import_module(module)
    except Exception as e:  # noqa: BLE001  a broken package raises anything: OSError, RuntimeError
        return told(name, f"{type(e).__name__}: {e}")
    return told(name, None)


def gpu() -> bool:
    """Whether PyTorch can use a GPU."""
    try:
        import torch  # type: ignore[import-not-found,unused-ignore]

        fine = torch.cuda.is_available()
    except Exception as e:  # noqa: BLE001  see above
        return told("cuda", f"{type(e).__name__}: {e}")
    return told("cuda", None if fine else "PyTorch finds no GPU that it can use")


def told(name: str, reason: str | None) -> bool:
    """One line; False for an error."""
    if reason is None:
        print(f"[SUCCESS] {name}", flush=True)
    else:
        print(f"[ERROR] {name}: {' '.join(reason.split())}", flush=True)
    return reason is None


if __name__ == "__main__":
    sys.exit(main())
