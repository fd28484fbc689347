"""Checks the values of a JSON object as pydantic does in its usual mode, and words faults alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

Check = Callable[[Any], Any]
Fields = dict[str, Check]


class Fault(Exception):
    """One value is wrong: pydantic's sentence and its name for the kind of fault."""

    def __init__(self, sentence: str, kind: str) -> None:
        super().__init__(sentence)
        self.sentence, self.kind = sentence, kind


class Faults(Exception):
    """Several values are wrong, inside a section: place, sentence, kind and value of each."""

    def __init__(self, found: list[tuple[str, Fault, Any]]) -> None:
        super().__init__(len(found))
        self.found = found


class Invalid(ValueError):
    """An object is wrong; the text is pydantic's."""


def check(title: str, values: Any, fields: Fields, required: Collection[str]) -> dict[str, Any]:
    """The object's values as the fields want them; unknown keys are refused."""
    try:
        return section(fields, required)(values)
    except Faults as faults:
        raise Invalid(report(title, faults)) from None
    except Fault as fault:
        raise Invalid(report(title, Faults([("", fault, values)]))) from None


def report(title: str, faults: Faults) -> str:
    """Pydantic's text about everything that is wrong."""
    number = len(faults.found)
    lines = [f"{number} validation error{'s' if number > 1 else ''} for {title}"]
    for place, fault, value in faults.found:
        if place:
            lines.append(place)
        kind = f"type={fault.kind}, input_value={value!r:.60}, input_type={type(value).__name__}"
        lines.append(f"  {fault.sentence} [{kind}]")
    return "\n".join(lines)


def section(fields: Fields, required: Collection[str] = (), *, strict: bool = True) -> Check:
    """An object in an object; unknown keys are refused, or dropped if not `strict`."""

    def checked(values: Any) -> dict[str, Any]:
        if not isinstance(values, dict):
            raise Fault("Input should be a valid dictionary or object", "model_type")
        found: list[tuple[str, Fault, Any]] = []
        good: dict[str, Any] = {}
        for key in required:
            if key not in values:
                found.append((key, Fault("Field required", "missing"), values))
        for key, value in values.items():
            if key not in fields:
                if strict:
                    fault = Fault("Extra inputs are not permitted", "extra_forbidden")
                    found.append((key, fault, value))
                continue
            try:
                good[key] = fields[key](value)
            except Fault as fault:
                found.append((key, fault, value))
            except Faults as faults:
                found += [(f"{key}.{place}", fault, at) for place, fault, at in faults.found]
        if found:
            raise Faults(found)
        return good

    return checked


def none_or(inner: Check) -> Check:
    """Null, or what `inner` takes."""
    return lambda value: None if value is None else inner(value)


def text(value: Any) -> str:
    """A string; no number becomes one."""
    if not isinstance(value, str):
        raise Fault("Input should be a valid string", "string_type")
    return value


def flag(value: Any) -> bool:
    """True or false, or a word or number for it."""
    words = {"true": True, "1": True, "yes": True, "on": True,
             "false": False, "0": False, "no": False, "off": False}  # fmt: skip
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise Fault("Input should be a valid boolean", "bool_type")
    return words[str(value).lower()]


def whole(low: float | None = None, high: float | None = None) -> Check:
    """A whole number, as a string too, within bounds that belong to it."""

    def checked(value: Any) -> int:
        if isinstance(value, float) and not value.is_integer():
            raise Fault(
                "Input should be a valid integer, got a number with a fractional part",
                "int_from_float",
            )
        if not isinstance(value, int | float | str):
            raise Fault("Input should be a valid integer", "int_type")
        try:
            found = int(value)
        except ValueError:
            raise Fault(
                "Input should be a valid integer, unable to parse string as an integer",
                "int_parsing",
            ) from None
        return int(bounded(found, low, high))

    return checked


def number(low: float | None = None, high: float | None = None) -> Check:
    """A number, as a string too, within bounds that belong to it."""

    def checked(value: Any) -> float:
        try:
            if not isinstance(value, int | float | str):
                raise ValueError
            return bounded(float(value), low, high)
        except ValueError:
            raise Fault("Input should be a valid number", "float_type") from None

    return checked


def bounded(value: float, low: float | None, high: float | None) -> float:
    """The value, or a fault because of its bounds."""
    if low is not None and value < low:
        raise Fault(f"Input should be greater than or equal to {low}", "greater_than_equal")
    if high is not None and value > high:
        raise Fault(f"Input should be less than or equal to {high}", "less_than_equal")
    return value


def one_of(*choices: Any) -> Check:
    """One of a few values of the very type."""

    def checked(value: Any) -> Any:
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            listed = ", ".join(repr(choice) for choice in choices)
            raise Fault(f"Input should be {listed}", "literal_error")
        return value

    return checked


def file(value: Any) -> str:
    """A file that exists, as an absolute path."""
    if not isinstance(value, str):
        raise Fault("Input is not a valid path", "path_type")
    if not Path(value).expanduser().is_file():
        raise Fault("Path does not point to a file", "path_not_file")
    return str(Path(value).expanduser().absolute())


def anything(value: Any) -> Any:
    """Whatever it is."""
    return value
