"""Immutable records whose fields are checked: what comes from outside becomes one of them, or a
sentence that says which field is wrong. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cosmos_pipelines.errors import InputError, shown

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
            return cls.model_validate(dict(fields))
        except ValidationError as e:
            raise kind(f"{what}: {explain(e)}.") from None


class Written(Frozen):
    """What another program or machine has written: no value is taken for one of another type.

    Unknown fields are left out: a newer version may have written them.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="ignore", strict=True, allow_inf_nan=False
    )


def explain(error: ValidationError) -> str:
    """The problems of a pydantic error in one line: `weights.vis: 1.5: should be at most 1`."""
    parts = []
    problems = error.errors(include_url=False)
    for e in problems[:TOLD]:
        where = shown(".".join(str(x) for x in e["loc"]) or "value")[1:-1]
        if e["type"] == "extra_forbidden":
            parts.append(f"{where} is not a setting")
            continue
        said = e["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
        value = "" if isinstance(e["input"], Mapping | BaseModel) else f" {shown(e['input'])}"
        parts.append(f"{where}{value} {said}")
    if len(problems) > TOLD:
        parts.append(f"and {len(problems) - TOLD} more")
    return "; ".join(parts)
