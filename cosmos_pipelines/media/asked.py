"""What a user asks of the preparation of a scene, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, get_args

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.media.depth_range import DepthHoles, DepthValues
from cosmos_pipelines.media.rates import snapped


@dataclass(frozen=True)
class Asked:
    """Everything but the files that decides what the pixels of a scene become.

    `fps`: the rate of sequences, and of videos in place of their own; None is 24 or a video's own.
    `depth_values`: what a larger depth means. `depth_holes`: what a depth of 0 is; None: a hole if
    a gap parts it from all other depths. `step`: how far the frame numbers are apart.

    Raises:
        InputError: a value that does not exist; names the argument and the choices.
    """

    fps: Fraction | None = None
    depth_values: DepthValues = "distance"
    depth_holes: DepthHoles | None = None
    step: int = 1

    def __post_init__(self) -> None:
        """Refuses what would be taken for something else."""
        _check_choice("depth_values", self.depth_values, get_args(DepthValues))
        _check_choice("depth_holes", self.depth_holes, (*get_args(DepthHoles), None))
        if isinstance(self.step, bool) or not isinstance(self.step, int) or self.step < 1:
            raise InputError(f"step {self.step!r} is no whole number from 1 on.")
        if self.fps is not None:
            if self.fps <= 0:
                raise InputError(f"fps {self.fps} is no rate: it must be more than 0.")
            object.__setattr__(self, "fps", snapped(Fraction(self.fps)))

    def facts(self) -> dict[str, Any]:
        """For scene.json, by the names of the arguments."""
        return {
            "fps": None if self.fps is None else str(self.fps),
            "depth_values": self.depth_values,
            "depth_holes": self.depth_holes,
            "step": self.step,
        }

    @classmethod
    def before(cls, record: Mapping[str, Any]) -> Asked:
        """What was asked when a scene.json was written; the defaults where it does not say."""
        facts = record.get("asked")
        if not isinstance(facts, dict):
            return cls()
        try:
            fps = facts.get("fps")
            return cls(
                fps=Fraction(fps) if isinstance(fps, str) else None,
                depth_values=facts.get("depth_values", "distance"),
                depth_holes=facts.get("depth_holes"),
                step=facts.get("step", 1),
            )
        except (ValueError, ZeroDivisionError):  # not as we write it
            return cls()


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        said = ", ".join(repr(choice) for choice in choices)
        raise InputError(f"{name} {value!r} is none of {said}.")
