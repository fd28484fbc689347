"""Derive command-line options from an operation's fields: a new field is an option at once.

Only options that the user gave are passed on; other values come from the recipe or are defaults.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cosmos_pipelines.errors import InputError, shown
from cosmos_pipelines.foreign import parse_json
from cosmos_pipelines.operations.base import Operation
from cosmos_pipelines.operations.forms import bare_type, limit_of, models_in

SLOT = "fields"
"""The parameter of a command that receives the given options, as a dict by field name."""


def takes_fields(operation: type[Operation]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a command: its parameter `fields` becomes one option for each field.

    The command is called with `fields={name: value}` of the options that were given. A field whose
    name is a parameter of the command itself is left out.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != SLOT]
        taken = {p.name for p in own}
        derived = {
            name: parameter_of(name, field)
            for name, field in operation.model_fields.items()
            if name not in taken
        }

        @functools.wraps(command)
        def with_fields(**given: Any) -> Any:
            values = {n: given.pop(n) for n in derived}
            return command(**given, **{SLOT: _given(values, operation)})

        parameters = [*own, *derived.values()]
        with_fields.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_fields.__annotations__ = {p.name: p.annotation for p in parameters}
        return with_fields

    return decorate


def parameter_of(name: str, field: FieldInfo) -> inspect.Parameter:
    """Return the keyword parameter whose annotation Typer turns into the option of one field.

    The default is None: the option was not given.

    Raises:
        TypeError: the field's type has no form on a command line.
    """
    kind = bare_type(field.annotation)
    metavar = None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        parts = kind.model_fields
        metavar = " ".join(parts).upper()
        kind = tuple[tuple(bare_type(p.annotation) for p in parts.values())]  # type: ignore[misc]
    elif models_in(kind):
        kind, metavar = str, "JSON"
    elif kind not in (bool, int, float, str) and get_origin(kind) is not Literal:
        raise TypeError(f"field {name!r}: {kind} has no form on a command line")
    number = kind in (int, float)
    option = typer.Option(
        *_flags(name, field, switch=kind is bool),
        help=_help(field),
        show_default=False,
        metavar=metavar,
        min=limit_of(field, "ge") if number else None,
        max=limit_of(field, "le") if number else None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _given(values: dict[str, Any], operation: type[Operation]) -> dict[str, Any]:
    return {
        name: _shaped(value, operation.model_fields[name])
        for name, value in values.items()
        if value is not None
    }


def _shaped(value: Any, field: FieldInfo) -> Any:
    """Turn a tuple into the mapping of its model, and JSON into its value; keep other values."""
    kind = bare_type(field.annotation)
    if models_in(kind):
        try:
            return parse_json(value, shown(value))
        except InputError as e:
            hint = 'Give a list of objects, such as \'[{"prompt": "..."}]\'.'
            raise InputError(e.message, hint=hint) from None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return dict(zip(kind.model_fields, value, strict=True))
    return value


def _flags(name: str, field: FieldInfo, *, switch: bool) -> list[str]:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    names: Any = extra.get("cli") or ["--" + name.replace("_", "-")]
    return [f"{n}/--no-{n.removeprefix('--')}" if switch else n for n in names]


def _help(field: FieldInfo) -> str:
    text = (field.description or "").rstrip(".")
    if field.default in (None, ()) or field.is_required():
        return f"{text}."
    shown = str(field.default)
    if isinstance(field.default, bool):
        shown = "yes" if field.default else "no"
    return f"{text}; default: {shown}."
