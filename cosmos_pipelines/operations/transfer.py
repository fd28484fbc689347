"""Transfer: a prompt and a scene become a video."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.base import (
    CONTROL_PASS,
    CONTROLS,
    Frozen,
    ModelType,
    Operation,
    Preset,
)

Weight = Annotated[float, Field(ge=0, le=1)]


class ControlWeights(Frozen):
    """How strongly each control steers the picture, 0 to 1; at least one is above 0."""

    vis: Weight = 0.0
    edge: Weight = 0.0
    depth: Weight = 0.0
    seg: Weight = 0.0

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.active:
            raise ValueError("all control weights are 0: give at least one of them a value up to 1")
        return self

    @property
    def active(self) -> tuple[str, ...]:
        """The controls with a weight above 0, in the standard order."""
        return tuple(c for c in CONTROLS if getattr(self, c) > 0)

    def normalised(self) -> dict[str, float]:
        """Weights divided by their sum where it exceeds 1 (as the models themselves do)."""
        total = max(1.0, sum(getattr(self, c) for c in CONTROLS))
        return {c: getattr(self, c) / total for c in CONTROLS}


class Transfer(Operation):
    """A prompt and a scene become a video."""

    model_type: ClassVar[ModelType] = "transfer"

    weights: ControlWeights | None = Field(
        None, description="Control weights vis, edge, depth, seg; default: equal over the scene's"
    )
    num_steps: int = Field(35, ge=1, le=100, description="Denoising steps.")
    guidance: float = Field(
        5.0,
        ge=0,
        le=20,
        description="How strictly the prompt is followed.",
        json_schema_extra={"cli": ["--guidance-scale", "--guidance"]},
    )
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Same seed and inputs, same pixels.")
    fps: int | None = Field(
        None, ge=1, le=120, description="Frames a second of the result; default: the scene's."
    )
    blur_strength: Preset = Field("medium", description="Blur of the vis control.")
    canny_threshold: Preset = Field("medium", description="Threshold of the edge control.")
    negative_prompt: str | None = Field(
        None, max_length=10_000, description="What to avoid; default: the prompt's own."
    )

    def for_scene(self, passes: Collection[str]) -> Transfer:
        """This operation with weights settled for a scene that has `passes`.

        Raises:
            InputError: a weight asks for a pass that the scene does not have.
        """
        usable = [c for c in CONTROLS if c in ("vis", "edge") or CONTROL_PASS[c] in passes]
        if self.weights is None:
            share = round(1 / len(usable), 4)
            equal = ControlWeights.model_validate(dict.fromkeys(usable, share))
            return self.model_copy(update={"weights": equal})
        for control in self.weights.active:
            if control not in usable:
                raise InputError(
                    f"The weight {control} {getattr(self.weights, control):g} needs the pass "
                    f"{CONTROL_PASS[control]!r}, which this scene does not have.",
                    hint=f"Set {control} to 0 or add {CONTROL_PASS[control]}.mp4.",
                )
        return self
