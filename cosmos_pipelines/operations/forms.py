"""An operation's fields as a form shows them, and what was filled in as values. Pure.

A field that is added to an operation appears in every form that is made of this, without a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.foreign import parse_json
from cosmos_pipelines.frozen import problems_by_field
from cosmos_pipelines.operations.base import Operation

WHOLE = ""
"""Where a problem is kept that concerns several fields."""


def fields_of(operation: type[Operation]) -> list[dict[str, Any]]:
    """Return the fields of an operation, in their order.

    Each has: name, label, sentence, kind (whole, number, switch, choice, text, parts, json),
    default (plain JSON; None: the engine decides), least and most (numbers), longest (characters of
    a text), choices (of a choice), parts (names of the numbers of `parts`), example (of json).
    """
    return [_described(name, field) for name, field in operation.model_fields.items()]


def values_from(
    operation: type[Operation], filled: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the given values of a form, and a sentence for each field whose value is refused.

    Nothing, blanks or a mapping of nothing are no value: a recipe's or the engine's value holds.
    """
    given, problems = dict[str, Any](), dict[str, str]()
    for name, written in operation.named(filled).items():
        try:
            value = _given(operation.model_fields.get(name), written)
        except InputError as e:
            problems[name] = str(e)
            continue
        if value is not None:
            given[name] = value
    try:
        operation.model_validate(given)
    except ValidationError as e:
        problems = {**problems_by_field(e, operation.model_fields), **problems}
    return given, problems


def bare_type(annotation: Any) -> Any:
    """Return the type without `Annotated` and without `| None`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, type(int | None)):
        [annotation] = [a for a in get_args(annotation) if a is not type(None)]
        return bare_type(annotation)
    return annotation


def models_in(kind: Any) -> bool:
    """Whether a type is a tuple of any number of models, which is given as JSON."""
    inner = get_args(kind)
    return (
        get_origin(kind) is tuple
        and inner[1:] == (Ellipsis,)
        and isinstance(inner[0], type)
        and issubclass(inner[0], BaseModel)
    )


def limit_of(field: FieldInfo, which: str) -> float | None:
    """Return a limit of a field: `ge`, `le` or `max_length`; also one of its annotated type."""
    annotation, metadata = field.annotation, list(field.metadata)
    while annotation is not None:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            for one in more:
                metadata += one.metadata if isinstance(one, FieldInfo) else [one]
            continue
        inner = [a for a in get_args(annotation) if get_origin(a) is Annotated]
        annotation = inner[0] if get_origin(annotation) is not Literal and inner else None
    return next((getattr(m, which) for m in metadata if hasattr(m, which)), None)


def _described(name: str, field: FieldInfo) -> dict[str, Any]:
    kind = bare_type(field.annotation)
    default = field.get_default(call_default_factory=True)
    words = name.replace("_", " ")
    described: dict[str, Any] = {
        "name": name,
        "label": words[:1].upper() + words[1:],
        "sentence": field.description or "",
        "kind": "text",
        "default": default if isinstance(default, bool | int | float | str) else None,
        "least": limit_of(field, "ge"),
        "most": limit_of(field, "le"),
        "longest": limit_of(field, "max_length"),
    }
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        first = next(iter(kind.model_fields.values()))
        limits = {"least": limit_of(first, "ge"), "most": limit_of(first, "le")}
        return {**described, "kind": "parts", "parts": list(kind.model_fields), **limits}
    if models_in(kind):
        parts = get_args(kind)[0].model_fields
        example = ", ".join(f'"{part}": ...' for part in list(parts)[:2])
        return {**described, "kind": "json", "example": f"[{{{example}}}]"}
    if get_origin(kind) is Literal:
        return {**described, "kind": "choice", "choices": list(get_args(kind))}
    kinds = {bool: "switch", int: "whole", float: "number"}
    return {**described, "kind": kinds.get(kind, "text")}


def _given(field: FieldInfo | None, value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        return None
    if isinstance(value, Mapping):
        parts = {part: one for part, one in value.items() if one not in (None, "")}
        return parts or None
    if field is not None and isinstance(value, str) and models_in(bare_type(field.annotation)):
        try:
            return parse_json(value, "The list")
        except InputError as e:
            raise InputError(e.message, hint="Give a list of objects.") from None
    return value
