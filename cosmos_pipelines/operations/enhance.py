"""Enhance: a prompt becomes a better prompt."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from cosmos_pipelines.operations.base import ModelType, Operation


class Enhance(Operation):
    """A prompt becomes a better prompt."""

    model_type: ClassVar[ModelType] = "enhance"
    ours: ClassVar[frozenset[str]] = frozenset({"create_new"})

    resolution: int = Field(
        480, ge=64, le=2160, description="Longest side of the frames for the model, in pixels."
    )
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Same seed and inputs, same text.")
    create_new: bool = Field(
        True, description="Register the result as a new prompt; otherwise only show the result."
    )
