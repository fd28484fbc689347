"""What a user asks of the preparation of a scene, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final, Literal, get_args

from cosmos_pipelines.errors import InputError, nearest
from cosmos_pipelines.media.pass_names import PASSES
from cosmos_pipelines.media.rates import snapped

DepthValues = Literal["distance", "nearness", "planar", "radial", "inverse", "millimetres", "carla"]
"""What values mean: larger ones are farther (renderers) or nearer (disparity); or more exactly."""

DepthHoles = Literal["far", "near", "none"]
"""What a value of 0 is: nothing measured, shown as the farthest or nearest point; or a value."""

Segments = Literal["objects", "materials", "assets"]
"""What the segments are, where the pictures hold several cryptomattes."""


@dataclass(frozen=True)
class Asked:
    """Everything but the files that decides what the pixels of a scene become.

    `fps`: the rate of sequences, and of videos in place of their own; None is 24 or a video's own.
    `depth_values`: what a larger depth means. `depth_holes`: what a depth of 0 is; None: a hole if
    a gap parts it from all other depths. `step`: how far the frame numbers are apart. `scene`: the
    one of several in the directory. `passes`: what shall be a pass, each as `PASS=WHAT`.
    `colorspace`: of the colour pictures, by a name of the OpenColorIO config; None: as they say.
    `colorspace_else`: of pictures of light that do not say theirs; None: linear Rec.709.
    `view`: by which light is shown; None: the config's default. `exposure`: in stops. `ocio`: the
    config: a file or `ocio://NAME`; None: that of $OCIO, else the built-in one of ACES.
    `segments`: which of several cryptomattes; None: objects.
    `near` and `far`: the distances that become white and black (metres, or the unit of the values);
    None: as measured. `background`: the value in the files that means nothing hit, beside those
    that are known. `fov`: the camera's horizontal angle of view in degrees, for radial depth.

    Raises:
        InputError: a value that does not exist; names the argument and the choices.
    """

    fps: Fraction | None = None
    depth_values: DepthValues = "distance"
    depth_holes: DepthHoles | None = None
    step: int = 1
    colorspace: str | None = None
    view: str | None = None
    exposure: float | None = None
    ocio: str | None = None
    segments: Segments | None = None
    near: float | None = None
    far: float | None = None
    background: float | None = None
    fov: float | None = None
    scene: str | None = None
    passes: tuple[str, ...] = ()
    colorspace_else: str | None = None

    def __post_init__(self) -> None:
        """Refuses what would be taken for something else."""
        _check_choice("depth_values", self.depth_values, get_args(DepthValues))
        _check_choice("depth_holes", self.depth_holes, (*get_args(DepthHoles), None))
        if isinstance(self.step, bool) or not isinstance(self.step, int) or self.step < 1:
            raise InputError(f"step {self.step!r} is no whole number from 1 on.")
        _check_choice("segments", self.segments, (*get_args(Segments), None))
        _check_exposure(self.exposure)
        for name in ("scene", "colorspace", "colorspace_else", "view", "ocio"):
            _check_text(name, getattr(self, name))
        self._check_depth()
        if len(self.wanted) < len(self.passes):
            raise InputError("One pass is given twice.", hint="Give each once, as `PASS=WHAT`.")
        if self.fps is not None:
            if self.fps <= 0:
                raise InputError(f"fps {self.fps} is no rate: it must be more than 0.")
            object.__setattr__(self, "fps", snapped(Fraction(self.fps)))

    def with_usual(self, usual: Asked) -> Asked:
        """The same, with the config, view and colour space of `usual` where none was asked for."""
        names = ("ocio", "view", "colorspace_else")
        return replace(
            self, **{name: getattr(self, name) or getattr(usual, name) for name in names}
        )

    def _check_depth(self) -> None:
        for name in NUMBERS:
            _check_number(name, getattr(self, name))
        nearness = self.depth_values == "nearness"
        ends = [one for one in (self.near, self.far) if one is not None]
        if len(set(ends)) < len(ends) or ends != sorted(ends, reverse=nearness):
            order = "more" if nearness else "less"
            raise InputError(f"near {self.near:g} must be {order} than far {self.far:g}.")
        if not nearness and any(one < 0 for one in ends):
            raise InputError("near and far are distances: they cannot be less than 0.")
        if self.fov is not None and not 0 < self.fov < 180:
            raise InputError(f"fov {self.fov:g} is no angle of view: it is between 0 and 180.")

    @property
    def wanted(self) -> dict[str, str]:
        """What shall be which pass, in the user's words.

        Raises:
            InputError: a word is not of the form PASS=WHAT, or there is no such pass.
        """
        return dict(_pass_and_what(text) for text in self.passes)

    def of_depths(self) -> list[str]:
        """The options that are given and say something of pictures of depth only."""
        given = [f"--{name}" for name in NUMBERS if getattr(self, name) is not None]
        given += ["--depth"] if self.depth_values != "distance" else []
        return given + (["--depth-holes"] if self.depth_holes else [])

    def facts(self) -> dict[str, Any]:
        """For scene.json, by the names of the arguments."""
        newer: dict[str, Any] = {name: getattr(self, name) for name in _NEWER}
        newer["passes"] = "\n".join(self.passes) or None
        return {
            "fps": None if self.fps is None else str(self.fps),
            "depth_values": self.depth_values,
            "depth_holes": self.depth_holes,
            "step": self.step,
        } | {name: value for name, value in newer.items() if value is not None}

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
                **{name: facts[name] for name in _NEWER if name in facts},
                passes=tuple(str(facts.get("passes") or "").splitlines()),
            )
        except (ValueError, ZeroDivisionError):  # not as we write it
            return cls()


NUMBERS: Final = ("near", "far", "background", "fov")
"""Arguments that say something of depth only."""
COLOURS: Final = ("colorspace", "colorspace_else", "view", "exposure", "ocio")
"""Arguments that say how light is shown."""
_NEWER: Final = ("scene", *COLOURS, "segments", *NUMBERS)
"""Told only where they are given, so that what was prepared before them stays as it is."""


def _check_text(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= 1000):
        raise InputError(f"{name} {str(value)[:100]!r} is no name.")


def _check_exposure(stops: object) -> None:
    if stops is None:
        return
    if isinstance(stops, bool) or not isinstance(stops, int | float) or not -20 <= stops <= 20:
        raise InputError(f"exposure {stops!r} is no number of stops from -20 to 20.")


def _check_number(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name} {value!r} is no number.")
    if not math.isfinite(value):
        hint = "What is infinite or no number is known to mean nothing hit."
        raise InputError(f"{name} {value} is no finite number.", hint=hint)


def _pass_and_what(text: str) -> tuple[str, str]:
    name, _, what = text.partition("=")
    if not what.strip() or "\n" in text:
        raise InputError(f"The pass {text!r} is not of the form PASS=WHAT.")
    if name not in PASSES:
        near = nearest(name, PASSES, n=1) or PASSES
        raise InputError(f"There is no pass {name!r}.", hint=f"Say {' or '.join(near)}.")
    return name, what.strip()


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        said = ", ".join(repr(choice) for choice in choices)
        raise InputError(f"{name} {value!r} is none of {said}.")


AS_USUAL: Final = Asked()
"""Nothing is asked for."""
