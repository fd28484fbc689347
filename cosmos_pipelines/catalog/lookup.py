"""Look up texts by their beginning, and the nearest of one that is not there, through an index.

An id or name that nobody has is compared with those that an index finds at once, not with all: its
neighbours in the order of bytes, which begin as it does, and what it is if one character near its
beginning is wrong, missing, too much, or exchanged with the next.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, collate, select

from cosmos_pipelines.catalog.columns import storable
from cosmos_pipelines.catalog.database import Database

NEIGHBOURS: Final = 10
"""Texts on either side of the one that is looked for."""
VARIED: Final = 10
"""Characters at the beginning, each of which may be the wrong one."""
LONGEST: Final = 4096
"""Characters of a text that may be there: a scene's name is a path, which Linux lets be so long."""
_CHARACTERS: Final = string.ascii_lowercase + "_"


def in_bytes(database: Database, column: Column[Any]) -> ColumnElement[Any]:
    """Return a column of texts in the order of their bytes, as SQLite has them anyway."""
    return column if database.sqlite else collate(column, "C")


def begins_with(database: Database, column: Column[Any], beginning: str) -> ColumnElement[bool]:
    """Return the condition that a text begins so: a range of the index of bytes.

    `beginning`: one character at least.
    """
    by_bytes = in_bytes(database, column)
    found = by_bytes >= beginning
    stem = beginning.rstrip(chr(0x10FFFF))  # nothing comes after it
    if stem:
        found &= by_bytes < stem[:-1] + _next(stem[-1])
    return found


def near(database: Database, column: Column[Any], wanted: str) -> list[str]:
    """Return texts of a column among which the one that is meant may be."""
    wanted = str(storable(wanted))
    by_bytes = in_bytes(database, column)
    found: list[str] = []
    for side, order in ((by_bytes < wanted, by_bytes.desc()), (by_bytes >= wanted, by_bytes)):
        statement = select(column).where(side).order_by(order).limit(NEIGHBOURS)
        found += [row[0] for row in database.rows(statement)]
    others = database.rows_with(select(column).distinct(), column, _one_off(wanted))
    return [*found, *(row[0] for row in others)]


def _one_off(word: str) -> Iterator[str]:
    """Yield what the word may be, if one of its first characters is wrong."""
    if len(word) > LONGEST:  # hundreds of copies of a megabyte would be compared
        return
    known = word[:3] if word[:3] in ("ps_", "rs_") else ""
    characters = string.digits + "abcdef" if known else _CHARACTERS
    for at in range(len(known), min(len(word), len(known) + VARIED)):
        before, this, after = word[:at], word[at], word[at + 1 :]
        yield before + after
        yield before + after[:1] + this + after[1:]
        for character in characters:
            yield before + character + after
            yield before + character + this + after


def _next(character: str) -> str:
    code = ord(character) + 1
    return chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)
