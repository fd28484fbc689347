"""The front door's lock: every public method is called with what it can use, or refuses in words.

Arguments are bound and checked against the method's own annotations before it begins. What a
method was not made for is an `InputError` that names the argument, never a `TypeError`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from cosmos_pipelines.api.arguments import Fields
from cosmos_pipelines.errors import InputError, nearest, of_file, shown
from cosmos_pipelines.frozen import explain, plain

C = TypeVar("C")

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def front_door(cls: type[C]) -> type[C]:
    """Check each call of a public method of a class, inherited or not, and of its constructor."""
    for name, function in inspect.getmembers(cls, inspect.isfunction):
        if name == "__init__" or not name.startswith("_"):
            setattr(cls, name, _checked(function))
    return cls


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(self: object, *args: Any, **kwargs: Any) -> Any:
        arguments = _form_of(function).arguments(args, kwargs)
        try:
            return function(self, **arguments)
        except OSError as e:
            raise of_file(e) or e from e

    return call


@functools.cache
def _form_of(function: Callable[..., Any]) -> _Form:
    return _Form(function)


class _Form:
    """What one method takes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = function.__name__.replace("__init__", "CosmosAPI")
        _, *parameters = inspect.signature(function).parameters.values()
        self.hints = get_type_hints(function, include_extras=True)
        self.named = {p.name: p for p in parameters if p.kind in _NAMED}
        self.in_order = [p.name for p in parameters if p.kind is _NAMED[0]]
        rest = next((p for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD), None)
        said = get_args(self.hints[rest.name]) if rest else ()
        self.fields = next((one for one in said if isinstance(one, Fields)), None)

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that were given, by name, as the method wants them; None is not given.

        Raises:
            InputError: names each argument that is missing, unknown or of another kind.
        """
        given = self._bound(args, kwargs)
        self._check_known(given)
        given = {name: value for name, value in given.items() if not self._left_out(name, value)}
        no_default = [n for n, p in self.named.items() if p.default is p.empty]
        if missing := [name for name in no_default if name not in given]:
            raise InputError(f"{self.name}() needs {' and '.join(missing)}.")
        problems: list[str] = []
        found = {name: self._checked(name, value, problems) for name, value in given.items()}
        if problems:
            raise InputError(f"{self.name}(): {'; '.join(problems)}.")
        return found

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) > len(self.in_order):
            raise InputError(
                f"{self.name}() was given {len(args)} arguments without a name, and takes "
                f"{len(self.in_order) or 'none'}.",
                hint=f"Name them: {_listed(list(self.named))}." if self.named else None,
            )
        given = dict(zip(self.in_order, args, strict=False))
        if twice := [name for name in kwargs if name in given]:
            raise InputError(f"{self.name}() was given {' and '.join(twice)} twice.")
        return {**given, **kwargs}

    def _check_known(self, given: Iterable[str]) -> None:
        known = {*self.named, *(self.fields.names() if self.fields else ())}
        for name in given:
            if name not in known:
                near = nearest(name, known, 1)
                hint = f"Did you mean {near[0]}?" if near else f"It has {_listed(sorted(known))}."
                raise InputError(f"{self.name}() has no argument {shown(name)}.", hint=hint)

    def _left_out(self, name: str, value: object) -> bool:
        """Whether it is None where that says nothing: as the value of `limit` it says a lot."""
        if value is not None or name not in self.named:
            return value is None
        default = self.named[name].default
        return default is None or (
            default is not inspect.Parameter.empty and not _takes_none(self.hints[name])
        )

    def _checked(self, name: str, value: Any, problems: list[str]) -> Any:
        """The value as its annotation wants it; fields of an operation are checked with it."""
        if name not in self.named:
            return plain(value)
        if isinstance(value, Mapping) or hasattr(value, "dtype"):
            value = plain(value)
        try:
            return _type(self.hints[name]).validate_python(value)
        except ValidationError as e:
            problems.append(explain(e, of=name))


def _takes_none(annotation: Any) -> bool:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return type(None) in get_args(annotation)


@functools.cache
def _type(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(names[:12]) or "none") + more
