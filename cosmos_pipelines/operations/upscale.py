"""Upscale: a video becomes 4K."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from cosmos_pipelines.operations.base import ModelType, Operation


class Upscale(Operation):
    """A video becomes 4K."""

    model_type: ClassVar[ModelType] = "upscale"

    control_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="How strictly the source video is followed.",
        json_schema_extra={"cli": ["--weight"]},
    )
    num_steps: int = Field(10, ge=1, le=100, description="Denoising steps.")
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Same seed and inputs, same pixels.")
    num_gpus: int = Field(1, ge=1, le=16, description="GPUs that share the work.")
