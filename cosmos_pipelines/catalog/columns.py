"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from cosmos_pipelines.catalog.records import iso
from cosmos_pipelines.errors import InputError, UnknownId, shown

LONGEST_ID: Final = 1000
"""Characters of what is looked for by its id or name."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(value: Any) -> Any:
    """Return `value` (text or JSON) without characters that PostgreSQL refuses: NUL, surrogates."""
    if isinstance(value, str) and value.isascii() and "\x00" not in value:
        return value  # as nearly every text of a query
    return in_texts(lambda text: _UNSTORABLE.sub("", text), value)


def in_texts(change: Callable[[str], str], value: Any) -> Any:
    """Return `value` (text or JSON) with each text in it changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(str(k)): in_texts(change, v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [in_texts(change, v) for v in value]
    return value


def wanted_id(kind: str, word: str) -> str:
    """An id, the beginning of one or a name, as it may be looked for.

    Raises:
        UnknownId: nothing is called so, it is so long; a database would refuse to look for it.
    """
    if len(word) > LONGEST_ID:
        raise UnknownId(kind, word)
    return str(storable(word))


def to_json(value: Any) -> str:
    """Return strict JSON.

    Raises:
        InputError: the value is not JSON (NaN, infinity, an object).
    """
    try:
        return json.dumps(storable(value), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as e:
        raise InputError(f"A value cannot be stored as JSON: {shown(e, quoted=False)}.") from None


def json_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """`value` as it is stored.

    Raises:
        InputError: not JSON.
    """
    read: dict[str, Any] = json.loads(to_json(dict(value)))
    return read


class Json(TypeDecorator[Any]):
    """A JSON column; `jsonb` on PostgreSQL (whose dialect is loaded only when used).

    `jsonb` keeps neither the order of keys nor the spelling of numbers (1e16, -0.0).
    """

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`jsonb` on PostgreSQL, JSON text on SQLite."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSONB

            return dialect.type_descriptor(JSONB())
        return dialect.type_descriptor(JSON())


class PlainText(TypeDecorator[str]):
    """A text column; drops characters that a database cannot store, also in comparisons."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Drop NUL and lone surrogates."""
        return None if value is None else str(storable(value))


class UtcTime(TypeDecorator[datetime]):
    """A column of aware times in UTC. On SQLite: ISO text of fixed width, which sorts by time."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`timestamptz` on PostgreSQL, text on SQLite."""
        kind = DateTime(timezone=True) if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a naive time: its time zone is unknown."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value!r}")
        return value.astimezone(UTC) if dialect.name == "postgresql" else iso(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware time in UTC."""
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC)
