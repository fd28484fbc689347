"""How a scene is to be prepared, as the API takes it: the arguments of `prepare_scene`, checked."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from cosmos_pipelines.api.arguments import Amount, Passes, Rate, Step
from cosmos_pipelines.frozen import Frozen
from cosmos_pipelines.media.asked import Asked, DepthHoles, DepthValues, Segments


class Preparation(Frozen):
    """All that decides what is taken and what its pixels become; see `CosmosAPI.prepare_scene`."""

    fps: Rate | None = None
    depth_values: DepthValues = "distance"
    depth_holes: DepthHoles | None = None
    step: Step = 1
    colorspace: str | None = None
    view: str | None = None
    exposure: Amount | None = None
    ocio: str | None = None
    segments: Segments | None = None
    near: Amount | None = None
    far: Amount | None = None
    background: Amount | None = None
    fov: Amount | None = None
    scene: str | None = None
    passes: Passes = ()

    def asked(self) -> Asked:
        """The same for `media`.

        Raises:
            InputError: a value that does not exist.
        """
        names = ("exposure", "near", "far", "background", "fov")
        given = {name: getattr(self, name) for name in names}
        numbers: dict[str, Any] = {n: None if v is None else float(v) for n, v in given.items()}
        return Asked(
            fps=None if self.fps is None else Fraction(self.fps),
            depth_values=self.depth_values,
            depth_holes=self.depth_holes,
            step=self.step,
            colorspace=self.colorspace,
            view=self.view,
            ocio=self.ocio,
            segments=self.segments,
            scene=self.scene,
            passes=tuple(self.passes),
            **numbers,
        )
