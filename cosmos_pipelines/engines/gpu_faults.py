"""What NVIDIA's programs and PyTorch say when a GPU or its driver fails, and what helps. Pure.

Where the texts are from:
- PyTorch: `device_count_impl` in c10/cuda/CUDAFunctions.cpp; after `CUDA error: ` and in
  `Error 802: ...` it prints the text of `cudaGetErrorString` (CUDA's driver_types.h).
- nvidia-smi and nvidia-container-cli: `nvmlErrorString` of NVML, as in NVIDIA's Python binding
  pynvml ("GPU is lost", "GPU requires restart", today "GPU requires reset"); their sentences as
  in reports to NVIDIA: open-gpu-kernel-modules 387, nvidia-container-toolkit 171 and 394. A field
  of a broken GPU is `[GPU requires reset]`, also where other fields have values.
- A container that loses its GPUs, and what prevents it: NVIDIA/nvidia-docker 1730.
"""

from __future__ import annotations

import re
from typing import Final

from cosmos_pipelines.errors import ErrorKind

RESET: Final = (
    "when no program uses the GPU, reset it there (`sudo nvidia-smi --gpu-reset -i N`), or reboot "
    "the host"
)

GPU_FAULTS: Final[tuple[tuple[ErrorKind, str, str], ...]] = (
    (
        "gpu_lost",
        r"(uncorrectable ECC error encountered|uncorrectable NVLink error)",
        f"The GPU reports a hardware error ({{1}}): {RESET}; if it comes back, the GPU must be "
        "replaced.",
    ),
    (
        "gpu_lost",
        r"(?i)(GPU is lost|GPU has fallen off the bus|GPU requires (?:a )?re(?:set|start)|"
        r"Unable to determine the device handle for GPU.*)",
        f"A GPU has failed ({{1}}): {RESET}.",
    ),
    (
        "gpu_lost",
        r"(?i)(driver/library version mismatch|"
        r"RM has detected an NVML/RM version mismatch)",
        "The host's NVIDIA driver was updated and the old one is still loaded ({1}): reboot the "
        "host.",
    ),
    (
        "gpu_lost",
        r"(?i)(couldn't communicate with the NVIDIA driver|nvml error: driver not loaded|"
        r"Failed to initialize NVML: Driver Not Loaded)",
        "The host's NVIDIA driver is not loaded ({1}): load it there (`sudo modprobe nvidia`), or "
        "reboot the host.",
    ),
    (
        "gpu_lost",
        r"(CUDA unknown error|CUDA error: unknown error|Failed to initialize NVML: Unknown Error|"
        r"Failed to initialize NVML: Insufficient Permissions)",
        "The container has lost its GPU ({1}): run it again, which makes a new container. If it "
        'happens again, set "exec-opts": ["native.cgroupdriver=cgroupfs"] in '
        "/etc/docker/daemon.json of the host and restart Docker.",
    ),
    (
        "gpu_lost",
        r"(system not yet initialized)",
        "The host's GPUs are not ready ({1}): start NVIDIA's Fabric Manager there (`sudo systemctl "
        "restart nvidia-fabricmanager`).",
    ),
    (
        "gpu_lost",
        r"(no CUDA-capable device is detected|No CUDA GPUs are available|No devices were found|"
        r"Found no NVIDIA driver on your system|"
        r"CUDA driver initialization failed, you might not have a CUDA gpu)",
        "No GPU can be seen where the model runs ({1}): give GPUs to the container, and see "
        "`nvidia-smi` on the host.",
    ),
    (
        "gpu_lost",
        r"(CUDA-capable device\(s\) is/are busy or unavailable)",
        "The GPU takes no work ({1}): another program uses it alone, or it needs a reset; see "
        "`nvidia-smi` on the host.",
    ),
    (
        "launch_failed",
        r"(The NVIDIA driver on your system is too old)",
        "The host's NVIDIA driver is too old for the image: install a newer driver and reboot.",
    ),
)
"""Kind, pattern and sentence, as the failures of an engine (see `cosmos`)."""


def gpu_fault(text: str) -> tuple[ErrorKind, str] | None:
    """Return kind and sentence of the GPU fault that a text tells of; None if of none."""
    for kind, pattern, sentence in GPU_FAULTS:
        if found := re.search(pattern, text):
            return kind, sentence.replace("{1}", " ".join(found[1].split())[:200])
    return None
