"""Immutable records whose fields are checked: what comes from outside becomes one of them, or a
sentence that says which field is wrong. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cosmos_pipelines.errors import InputError, nearest, shown

DEEPEST = 64
"""Levels of lists and mappings in each other."""
TOLD = 5
"""Problems of one input that are told; the first ones explain the rest."""


class Frozen(BaseModel):
    """An immutable record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(
        cls,
        fields: Mapping[str, Any],
        *,
        what: str | None = None,
        kind: type[InputError] = InputError,
    ) -> Self:
        """Build from untrusted fields.

        Raises:
            InputError: of `kind`; one line naming each wrong field, its value and what is wanted.
        """
        what = what or cls.__name__.lower()
        if not isinstance(fields, Mapping):
            raise kind(f"{what}: {shown(fields)} has no named fields.")
        try:
            return cls.model_validate(plain(fields))
        except ValidationError as e:
            raise kind(f"{what}: {explain(e, cls.model_fields)}.") from None


class Written(Frozen):
    """What another program or machine has written: no value is taken for one of another type.

    Unknown fields are left out: a newer version may have written them.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="ignore", strict=True, allow_inf_nan=False
    )


def plain(value: Any, level: int = 0) -> Any:
    """Values of numpy and the like as Python's own, in lists and mappings too.

    Raises:
        InputError: more than `DEEPEST` levels, as of a list in itself.
    """
    if level > DEEPEST:
        raise InputError(f"There are more than {DEEPEST} levels of lists and objects.")
    if isinstance(value, Mapping):
        return {name: plain(one, level + 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, level + 1) for one in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy's numbers and arrays
        return plain(value.tolist(), level + 1)
    return float(value) if isinstance(value, Decimal | Fraction) else value


def explain(error: ValidationError, known: Iterable[str] = (), *, of: str | None = None) -> str:
    """The problems of a pydantic error in one line: `weights.vis: 1.5: should be at most 1`.

    `known`: fields that there are, of which the nearest is offered. `of`: what the value is called.
    """
    problems = error.errors(include_url=False)
    parts = [_told(e, known, of)[1] for e in problems[:TOLD]]
    if len(problems) > TOLD:
        parts.append(f"and {len(problems) - TOLD} more")
    return "; ".join(parts)


def problems_by_field(error: ValidationError, known: Iterable[str] = ()) -> dict[str, str]:
    """The problems of a pydantic error, a sentence for each field; "" is the record as a whole."""
    found: dict[str, str] = {}
    for e in error.errors(include_url=False):
        name = str(e["loc"][0]) if e["loc"] else ""
        where, sentence = _told(e, known, None)
        if where in (name, "value"):
            sentence = sentence.removeprefix(where).lstrip()
        found.setdefault(name, f"{sentence[:1].upper()}{sentence[1:]}.")
    return found


def _told(e: Mapping[str, Any], known: Iterable[str], of: str | None) -> tuple[str, str]:
    """Where a problem is, and its sentence."""
    path = [str(x) for x in e["loc"]]
    where = shown(".".join([of, *path] if of else path) or "value")[1:-1]
    if e["type"] == "extra_forbidden":
        near = nearest(str(e["loc"][-1]), known, 1) if len(e["loc"]) == 1 else []
        meant = f" (did you mean {near[0]}?)" if near else ""
        return where, f"{where} is not a setting{meant}"
    said = e["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    value = "" if isinstance(e["input"], Mapping | BaseModel) else f" {shown(e['input'])}"
    return where, f"{where}{value} {said}"
