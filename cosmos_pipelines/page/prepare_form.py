"""The options of a preparation as groups of a form: which are shown, and which are open. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

FIRST: Final = ("directory", "name")
"""What the form asks before anything was looked at; then comes `description`, with the button."""

_GROUPS: Final = (
    ("Which files", ("passes", "scene")),
    ("Colour", ("colorspace", "view", "exposure", "ocio")),
    ("Depth", ("depth_values", "near", "far", "background", "depth_holes", "fov")),
    ("Segmentation", ("segments",)),
    ("Frames and rate", ("fps", "step")),
)
_OTHER: Final = "Other options"
_LABELS: Final = {
    "colorspace": "Colour space",
    "depth_holes": "What 0 means",
    "depth_values": "What values mean",
    "exposure": "Exposure",
    "fov": "Angle of view",
    "fps": "Frames a second",
    "ocio": "OpenColorIO config",
    "scene": "Only these scenes",
    "segments": "Segments are",
}
_SENTENCES: Final = {"scene": "a name, or a pattern of several: demo_* or demo_?; default: all."}
"""What the form says where it takes more than the argument."""
_OPTIONS: Final = {"passes": "--pass", "depth_values": "--depth"}
"""How an option is called in sentences and on the command line, where not as the argument."""


@dataclass(frozen=True)
class Group:
    """Options under one head.

    `fields`: those of `call_form.fields_of`, each with its `value`, whether that is `set`, and how
    the `option` is called in sentences.
    """

    head: str
    fields: tuple[Mapping[str, Any], ...]
    open: bool


def first_fields(fields: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What the form asks before anything was looked at."""
    return [field for field in fields if field["name"] in FIRST]


def groups_of(
    fields: Sequence[Mapping[str, Any]],
    given: Mapping[str, str],
    plans: Sequence[Mapping[str, Any]],
    refusal: str | None,
) -> list[Group]:
    """The groups that a look at a directory is about.

    `given`: what was filled in; `plans`: those of `CosmosAPI.plan_scene`; `refusal`: why there is
    none. A group is open where one of its values is set, or where what is wrong names its option.
    """
    told = _named(plans, refusal)
    groups = []
    for head, names in _heads(fields):
        own = [_filled(field, given) for name in names for field in fields if field["name"] == name]
        named = any(one["option"] in told or one["set"] for one in own)
        if own and (named or _is_about(head, plans)):
            groups.append(Group(head, tuple(own), named))
    return groups


def _heads(fields: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    placed = {*FIRST, "description", *(name for _, names in _GROUPS for name in names)}
    others = tuple(field["name"] for field in fields if field["name"] not in placed)
    return [*_GROUPS, (_OTHER, others)]


def _filled(field: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    name = field["name"]
    default = "" if field["default"] is None else str(field["default"])
    value = given.get(name, default)
    return {
        **field,
        "label": _LABELS.get(name, field["label"]),
        "option": _OPTIONS.get(name, "--" + name.replace("_", "-")),
        "sentence": _SENTENCES.get(name, field["sentence"]),
        "value": value,
        "set": value != default,
    }


def _named(plans: Sequence[Mapping[str, Any]], refusal: str | None) -> set[str]:
    """The options that sentences of a plan or refusal name."""
    said = [refusal, *(plan[part] for plan in plans for part in ("wrong", "hint"))]
    return set(re.findall(r"--[a-z][a-z-]*", " ".join(text for text in said if text)))


def _is_about(head: str, plans: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the options under a head change anything of what was found."""
    pictures = {
        one["pass"]: one for plan in plans for one in plan["passes"] if one["kind"] != "video"
    }
    if head == "Colour":
        return bool(pictures.keys() & {"color", "vis"})
    if head == "Depth":
        return "depth" in pictures
    if head == "Segmentation":
        return "segmentation" in pictures and len(pictures["segmentation"]["layers"]) > 1
    return bool(plans)
