"""What is told of a depth pass, from its facts in scene.json. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_KINDS: Final = {
    "carla": "read as CARLA's depth, metres in the three colours",
    "millimetres": "read as millimetres",
    "inverse": "read as inverse depth, 1 by metres",
}

_CROWD: Final = 0.9
"""Share of the depths in one bar of the histogram from which on it is told."""


def depth_notes(depth: Mapping[str, Any]) -> list[str]:
    """Sentences for people: how its grey levels came about, and what was left out."""
    notes = [_KINDS[depth["kind"]]] if depth["kind"] in _KINDS else []
    return [*notes, *_shape_notes(depth), _range_note(depth), *_crowd(depth), *_left_out(depth)]


def with_unit(value: float, unit: str | None) -> str:
    """`700` where it is a whole number of a PNG, `12.35 m` where it is measured."""
    text = str(value) if isinstance(value, int) else f"{value:.4g}".replace("e+", "e")
    return f"{text} {unit}" if unit else text


def percent(share: float) -> str:
    """`3.1 %`, and never 0 % of what is there."""
    return f"{share:.1%}".replace("%", " %") if share >= 0.0005 else f"{100 * share:.2g} %"


def _shape_notes(depth: Mapping[str, Any]) -> list[str]:
    notes = []
    if depth["negated"]:
        notes.append("every distance is less than 0 (the camera looks down -Z): amounts were taken")
    if depth["projection"] == "radial":
        notes.append(
            "it is radial (from the camera's point, not its plane) and stays so, as no camera is "
            "known; `--fov DEGREES`, its horizontal angle of view, makes it planar"
        )
    elif depth["projection"]:
        notes.append(
            "converted from radial to planar, for a horizontal angle of view of "
            f"{depth['fov_degrees']:.4g} degrees"
        )
    return notes


def _range_note(depth: Mapping[str, Any]) -> str:
    larger = "farther" if depth["source_values"] == "distance" else "nearer"
    white, black, lowest, highest = (
        with_unit(depth[name], depth["unit"])
        for name in ("value_of_white", "value_of_black", "lowest_value", "highest_value")
    )
    if depth["range_is"] == "given":
        return (
            f"larger values are {larger}; {white} became white (near), {black} black, as asked; "
            f"the clip goes from {lowest} to {highest}"
        )
    if white != black or depth["value_of_white"] != depth["value_of_black"]:
        return f"larger values are {larger}; {white} became white (near), {black} black"
    if depth["background_share"]:
        return f"every depth is {white}: white, on black where nothing was hit"
    return f"every depth is {white}: the same grey everywhere, so this control says nothing"


def _crowd(depth: Mapping[str, Any]) -> list[str]:
    """Whether a few far (or near) pixels leave the others one grey."""
    counts = depth["histogram"]
    share = max(counts, default=0) / (sum(counts) or 1)
    if share < _CROWD or depth["value_of_white"] == depth["value_of_black"]:
        return []
    return [
        f"{percent(share)} of its depths became nearly one grey; "
        "`--near` and `--far` give the range to them"
    ]


def _left_out(depth: Mapping[str, Any]) -> list[str]:
    notes = [
        f"{percent(share)} of its pixels are {words}, which stands for nothing hit: black"
        for words, share in depth["nothing_hit"].items()
    ]
    if depth["overflow"]:
        notes.append("16-bit floats end at 65504: what is farther became infinite when rendered")
    where = "nearest" if depth["holes_are"] == "near" else "farthest"
    for share, what in (
        (depth["holes_share"], "0, which stands for nothing measured"),
        (depth["transparent_share"], "transparent"),
    ):
        if share:
            notes.append(f"{percent(share)} of its pixels are {what}: they became the {where}")
    if share := depth["cut_off_share"]:
        lowest, highest = depth["lowest_value"], depth["highest_value"]
        outside = (
            "lie outside of that range"
            if depth["range_is"] == "given"
            else f"are outliers (values from {with_unit(lowest, None)} to "
            f"{with_unit(highest, depth['unit'])})"
        )
        ends = "that range's ends" if depth["range_is"] == "given" else "the rest's ends"
        notes.append(
            f"{percent(share)} of its pixels {outside}: they became as white or black as {ends}"
        )
    return notes
