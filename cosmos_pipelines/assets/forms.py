"""The launchpad's forms, derived from the operations' own fields.

A field that is added to an operation appears in the forms without a change here. All form fields
may stay empty; then the operation's (or a recipe's) value holds. Limits are checked by the
operation, whose messages are ours, and so are not repeated here.

Engines and recipes are choices of those that exist when Dagster loads the project: a typo is
refused before there is a Dagster run.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.operations import ModelType, Operation

_NAMED: Final = 200
"""Characters of the words that the name of a choice has."""


@cache
def config_of(operation: type[Operation]) -> type[dg.Config]:
    """The form of an operation: its fields, each optional, with descriptions and defaults."""
    return _form(operation)


def form(name: str, doc: str, **fields: tuple[Any, Any]) -> type[dg.Config]:
    """A form with the given fields: annotation and pydantic `Field` each."""
    made: type[dg.Config] = create_model(name, __base__=dg.Config, __doc__=doc, **fields)  # type: ignore[call-overload]
    return made


def given(config: dg.Config | None, *, leave: tuple[str, ...] = ()) -> dict[str, Any]:
    """What was filled in, as plain JSON values; without the fields named in `leave`."""
    if config is None:
        return {}
    values = {name: _plain(getattr(config, name)) for name in type(config).model_fields}
    return {k: v for k, v in values.items() if v is not None and k not in leave}


def choice(name: str, words: Iterable[str]) -> Any:
    """The type of a field that takes one of these words; any text if Python refuses one of them.

    Its name says the words: Dagster tells it to whom has given another word, and takes types of one
    name for the same type.
    """
    words = list(words)
    named = ", ".join(words) or "none"
    if len(named) > _NAMED:
        digest = content_hash({"words": words})[:8]
        named = f"{named[:_NAMED]}... {digest}"
    try:
        return enum.Enum(f"{name} ({named})", {word: word for word in words})
    except ValueError:  # `mro` and `_x_` cannot be members
        return str


def engine_choice(model_type: ModelType) -> Any:
    """The type of a field for an engine that does this operation."""
    able = [engine.name for engine in ENGINES.values() if model_type in engine.operations]
    return choice("engine", able)


def _form(model: type[BaseModel]) -> type[dg.Config]:
    fields = {
        name: (_optional(model, name, info), Field(default=None, description=_described(info)))
        for name, info in model.model_fields.items()
    }
    return form(f"{model.__name__}Form", model.__doc__ or "", **fields)


def _optional(model: type[BaseModel], name: str, info: FieldInfo) -> Any:
    kind = _kind(info.annotation, f"{model.__name__}_{name}")
    return kind | None if isinstance(kind, type) else Union[kind, None]  # noqa: UP007


def _kind(annotation: Any, name: str) -> Any:
    """A type that Dagster's forms know, for a type of an operation's field."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0], name)
    if origin is Literal:
        return enum.Enum(name, {str(value): value for value in get_args(annotation)})
    if origin in (Union, types.UnionType):
        kinds = [a for a in get_args(annotation) if a is not type(None)]
        if len(kinds) != 1:
            raise TypeError(f"{name}: a form cannot have a choice of types")
        return _kind(kinds[0], name)
    if origin in (list, tuple):
        return list[_kind(get_args(annotation)[0], name)]  # type: ignore[misc]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _form(annotation)
    return annotation


def _described(info: FieldInfo) -> str:
    said = info.description or ""
    if info.is_required() or info.default in (None, ()):
        return said
    return f"{said} Default: {info.default}.".strip()


def _plain(value: Any) -> Any:
    if isinstance(value, dg.Config):
        return given(value) or None
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
