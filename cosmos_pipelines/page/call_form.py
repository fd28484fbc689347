"""The form of a method of the API, made of its own arguments: a new argument appears in it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

_SENTENCE: Final = re.compile(r"`(\w+)`:\s+(.+?)(?=\s`\w+`(?::| is )|\n\s*\n|$)", re.DOTALL)


def fields_of(method: Callable[..., Any], leave_out: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return the arguments that can be typed or chosen, in their order.

    Each has: name, label, kind (choice, whole, text), choices (of a choice), required, default
    (None: nothing is chosen) and sentence (of the method's docstring; "" where it has none).
    """
    hints = get_type_hints(method, include_extras=True)
    told = dict(_SENTENCE.findall(inspect.getdoc(method) or ""))
    found = []
    for name, parameter in inspect.signature(method).parameters.items():
        kind, choices = _kind(hints.get(name))
        if name == "self" or name in leave_out or kind is None:
            continue
        required = parameter.default is parameter.empty
        found.append(
            {
                "name": name,
                "label": name.replace("_", " ").capitalize(),
                "kind": kind,
                "choices": choices,
                "required": required,
                "default": None if required or parameter.default == () else parameter.default,
                "sentence": " ".join(told.get(name, "").split()),
            }
        )
    return found


def _kind(annotation: Any) -> tuple[str | None, list[str]]:
    """How a value is given; None: not by a form. A type that takes text as well is typed."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        kinds = [_kind(one) for one in get_args(annotation) if one is not type(None)]
        texts = [kind for kind in kinds if kind[0] == "text"]
        return texts[0] if texts else kinds[0]
    if get_origin(annotation) is Literal:
        return "choice", [str(value) for value in get_args(annotation)]
    return {int: "whole", str: "text"}.get(annotation), []
