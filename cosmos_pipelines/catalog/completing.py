"""The values that a filter of runs can have, the most frequent ones first."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

from sqlalchemy import Select, func, select

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.finding import BATCH_TAG
from cosmos_pipelines.catalog.records import MODEL_TYPES, STATUSES
from cosmos_pipelines.catalog.tables import prompts, run_tags, runs

NEWEST_PROMPTS: Final = 5_000
"""Prompts whose words are offered."""
MOST_PROMPTS: Final = 300
"""Prompts with a word that begins so, in which words are counted."""
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_FIXED: Final[dict[str, tuple[str, ...]]] = {
    "status": STATUSES,
    "type": MODEL_TYPES,
    "rating": ("1", "2", "3", "4", "5"),
}


def values_of(
    database: Database, name: str, beginning: str = "", limit: int = 50
) -> list[tuple[str, int | None]]:
    """Return values of a filter that have `beginning` in them, each with its number of runs.

    A filter with few possible values has no numbers. Of `words` the last one is completed; its
    number is that of prompts. A filter that takes anything has no values.
    """
    if name in _FIXED:
        possible = [value for value in _FIXED[name] if beginning in value]
        return [(value, None) for value in possible[:limit]]
    if name == "words":
        return _words(database, beginning, limit)
    statement = _statement(name)
    if statement is None:
        return []
    found: list[tuple[str, int | None]] = [
        (row.value.removeprefix(BATCH_TAG) if name == "batch" else row.value, row.runs)
        for row in database.rows(statement)
    ]
    asked = beginning.casefold()
    return [one for one in found if asked in one[0].casefold()][:limit]


def _statement(name: str) -> Select[Any] | None:
    number = func.count().label("runs")
    if name in ("recipe", "engine"):
        value = runs.c[name].label("value")
        statement = select(value, number).where(runs.c[name].is_not(None))
    elif name in ("tag", "without", "batch"):
        value = run_tags.c.tag.label("value")
        statement = select(value, number)
        named = run_tags.c.tag.startswith(BATCH_TAG, autoescape=True)
        statement = statement.where(named if name == "batch" else ~named)
    elif name == "scene":
        value = prompts.c.scene.label("value")
        statement = select(value, number).join(runs, runs.c.prompt_id == prompts.c.id)
    else:
        return None
    return statement.group_by(value).order_by(number.desc(), value)


def _words(database: Database, text: str, limit: int) -> list[tuple[str, int | None]]:
    before, _, last = text.rpartition(" ")
    last = last.casefold()
    newest = (
        select(prompts.c.name, prompts.c.text, prompts.c.created_at)
        .order_by(prompts.c.created_at.desc())
        .limit(NEWEST_PROMPTS)
        .subquery()
    )
    statement = select(newest.c.name, newest.c.text)
    if last:
        both = newest.c.name + " " + newest.c.text
        statement = statement.where(both.icontains(last, autoescape=True))
    counted: Counter[str] = Counter()
    for row in database.rows(statement.order_by(newest.c.created_at.desc()).limit(MOST_PROMPTS)):
        words = _WORD.findall(f"{row.name.replace('_', ' ')} {row.text}".casefold())
        counted.update({word for word in words if word.startswith(last)})
    common = sorted(counted, key=lambda word: (-counted[word], word))[:limit]
    return [(f"{before} {word}".strip(), counted[word]) for word in common]
