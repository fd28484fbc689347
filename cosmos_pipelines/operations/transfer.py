"""Transfer: a prompt and a scene become a video."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.frozen import Frozen
from cosmos_pipelines.operations.base import (
    CONTROL_PASS,
    CONTROLS,
    ModelType,
    Operation,
    Preset,
)
from cosmos_pipelines.operations.text import tidy

Weight = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, AfterValidator(tidy)]
"""Words for the model, without what nobody sees."""
Fraction = Annotated[float, Field(ge=0, le=1)]


def _lines_of(size: object) -> object:
    """720 and "720p" are "720"."""
    number = isinstance(size, int) and not isinstance(size, bool)
    return str(size).removesuffix("p") if number or isinstance(size, str) else size


class ControlWeights(Frozen):
    """How strongly each control steers the picture, 0 to 1; at least one is above 0."""

    vis: Weight = 0.0
    edge: Weight = 0.0
    depth: Weight = 0.0
    seg: Weight = 0.0

    @model_validator(mode="before")
    @classmethod
    def _in_order(cls, value: Any) -> Any:
        """Four numbers are the weights in the standard order."""
        if isinstance(value, list | tuple) and len(value) == len(CONTROLS):
            return dict(zip(CONTROLS, value, strict=True))
        if isinstance(value, Mapping | cls):
            return value
        raise ValueError(f"is neither four numbers ({', '.join(CONTROLS)}) nor names with numbers")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.active:
            raise ValueError("all control weights are 0: set at least one of them, up to 1")
        return self

    @property
    def active(self) -> tuple[str, ...]:
        """Return the controls with a weight above 0, in the standard order."""
        return tuple(c for c in CONTROLS if getattr(self, c) > 0)

    def normalised(self) -> dict[str, float]:
        """Return the weights, divided by their sum if the sum exceeds 1 (as the models do)."""
        total = max(1.0, sum(getattr(self, c) for c in CONTROLS))
        return {c: getattr(self, c) / total for c in CONTROLS}


class Region(Frozen):
    """A part of the picture with its own prompt; the part is found by a text, or is a box."""

    prompt: Text = Field(min_length=1, max_length=10_000)
    mask_prompt: Text | None = Field(None, description="A text that finds the region.")
    box: tuple[Fraction, Fraction, Fraction, Fraction] | None = Field(
        None, description="The region: left, top, right, bottom, as fractions of the picture."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.mask_prompt is None) == (self.box is None):
            raise ValueError("a region has either a mask_prompt or a box")
        if not self.prompt or self.mask_prompt == "":
            raise ValueError("a region's prompt and mask_prompt have words")
        return self


class Transfer(Operation):
    """A prompt and a scene become a video."""

    model_type: ClassVar[ModelType] = "transfer"

    weights: ControlWeights | None = Field(
        None,
        description="Control weights vis, edge, depth, seg; default: equal, for the scene's passes",
    )
    num_steps: int | None = Field(
        None, ge=1, le=100, description="Denoising steps; default: the engine's, mostly 35."
    )
    guidance: float | None = Field(
        None,
        ge=0,
        le=20,
        description="How strictly the prompt is followed; default: the engine's.",
        json_schema_extra={"cli": ["--guidance-scale", "--guidance"]},
    )
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Same seed and inputs, same pixels.")
    fps: int | None = Field(
        None, ge=1, le=120, description="Frames a second of the result; default: the scene's."
    )
    blur_strength: Preset = Field("medium", description="Blur of the vis control.")
    canny_threshold: Preset = Field("medium", description="Threshold of the edge control.")
    negative_prompt: Text | None = Field(
        None, max_length=10_000, description="What to avoid; default: as in the prompt."
    )
    sigma_max: float | None = Field(
        None,
        ge=0,
        le=200,
        description="Noise that generation starts from; low values keep more of the colour pass.",
    )
    control_prompt: Text | None = Field(
        None,
        max_length=2_000,
        description="What seg looks for if the model computes seg, as `road . car . tree`.",
    )
    mask_prompt: Text | None = Field(
        None,
        max_length=2_000,
        description="Controls count only in the area that this text finds.",
    )
    keypoint_weight: Weight = Field(
        0.0, description="Weight of people's poses, which the model computes."
    )
    regional_prompts: tuple[Region, ...] = Field(
        (), description="Regions with their own prompt: prompt, and mask_prompt or box."
    )
    use_distilled: bool = Field(
        False, description="The fast variant, if the engine has a fast variant for the controls."
    )
    resolution: Annotated[
        Literal["256", "480", "720", "1080"] | None, BeforeValidator(_lines_of)
    ] = Field(None, description="Working size, if the engine offers a choice.")
    max_frames: int | None = Field(
        None, ge=1, le=5000, description="Number of frames of the scene to use, from the first."
    )
    num_conditional_frames: int | None = Field(
        None, ge=0, le=2, description="Frames by which chunks of a long clip overlap."
    )
    num_gpus: int = Field(1, ge=1, le=16, description="GPUs that share each run's work.")

    def for_scene(
        self,
        passes: Collection[str],
        computed: Collection[str] = ("vis", "edge"),
    ) -> Transfer:
        """Return this operation with the weights for a scene that has `passes`.

        `computed`: controls that the model can compute from `color` if the scene has no pass.

        Raises:
            InputError: a weight needs a pass that the scene does not have, or the scene has no pass
                for any control.
        """
        usable = [c for c in CONTROLS if c in computed or CONTROL_PASS[c] in passes]
        if self.weights is None:
            default = [c for c in usable if c in ("vis", "edge") or CONTROL_PASS[c] in passes]
            if not default:
                files = ", ".join(f"{CONTROL_PASS[c]}.mp4" for c in CONTROLS)
                raise InputError(
                    "This scene has no pass for a control, and the engine computes no control.",
                    hint=f"Add one of {files}.",
                )
            share = round(1 / len(default), 4)
            equal = ControlWeights.model_validate(dict.fromkeys(default, share))
            return self.model_copy(update={"weights": equal})
        for control in self.weights.active:
            if control not in usable:
                raise InputError(
                    f"The weight {control} {getattr(self.weights, control):g} needs the pass "
                    f"{CONTROL_PASS[control]!r}, which this scene does not have.",
                    hint=f"Set {control} to 0, or add {CONTROL_PASS[control]}.mp4.",
                )
        return self
