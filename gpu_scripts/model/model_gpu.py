"""Lines of CUDA and PyTorch for a GPU that has failed or cannot be seen, where no request has them.

The package's own list, with remedies and sources, is `cosmos_pipelines/engines/gpu_faults.py`; a
request of `model_run.py` carries it. Runs on the GPU side: Python 3.10 or newer and its standard
library only.
"""

from __future__ import annotations

GPU_LOST = (
    r"(uncorrectable ECC error encountered|CUDA unknown error|CUDA error: unknown error"
    r"|no CUDA-capable device is detected|No CUDA GPUs are available|GPU is lost"
    r"|GPU requires reset|system not yet initialized"
    r"|CUDA-capable device\(s\) is/are busy or unavailable)"
)
SENTENCE = (
    "The GPU has failed, or the container has lost it ({}): see `nvidia-smi` on the host; run it "
    "again, after a reset of the GPU or a reboot of the host if the host says so."
)
