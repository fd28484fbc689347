"""Times that the makers of the models have published: a first guess, until own runs say more.

One table can be used: that of Cosmos-Transfer2.5 for one GPU. NVIDIA publishes no times of
Cosmos-Transfer1 (its issue #147 asks for them) and none of Cosmos 3. Its table "Edge" of
Cosmos-Transfer2.5 (4 and 8 GPUs, distilled) does not say how long the video is: beside the table
below, the figures of B200 and H20 fit two chunks, and that of H100 NVL fits one. No source says how
far the times of one GPU lie apart, and none says how long a model takes to load.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

STEPS: Final = 35
"""Steps in NVIDIA's figures: the model's default."""

_CHUNK_S: Final[Mapping[str, float]] = {
    "B200": 92.25,
    "H100 NVL": 445.52,
    "H100 PCIe": 264.13,
    "H20": 683.65,
}
"""Seconds in which one GPU generates 93 frames (a chunk) at 720p with one control, segmentation,
without guardrails. Source: github.com/nvidia-cosmos/cosmos-transfer2.5 at 2ff49d0,
docs/inference.md, "Inference performance", table "Segmentation"."""

_ALIKE: Final = ("cosmos_transfer2_5", 1, "1 control(s), at 720")
"""Engine, GPUs and kind (see `Cost`) of the runs that the table is for."""


def published_s(engine: str, gpus: int, kind: str, gpu: str | None) -> float | None:
    """Return published seconds for one step of one chunk; None: there are none.

    `gpu`: the name that nvidia-smi gives, such as `NVIDIA H100 PCIe`.
    """
    if gpu is None or (engine, gpus, kind) != _ALIKE:
        return None
    found = (s for name, s in _CHUNK_S.items() if re.search(rf"\b{name}\b", gpu))
    chunk_s = next(found, None)
    return None if chunk_s is None else chunk_s / STEPS
