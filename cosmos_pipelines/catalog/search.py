"""Find prompts by words: FTS5 on SQLite, `tsvector` on PostgreSQL, with the same results.

A prompt is found if its name and text together have all the words, in any English inflection; a
word in the name counts four times. The first migration makes the indices.
"""

from __future__ import annotations

import string
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, column, select, text

from cosmos_pipelines.catalog.columns import LONGEST_ID, storable
from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.lookup import begins_with, in_bytes
from cosmos_pipelines.catalog.prompts import COLUMNS, prompt_of
from cosmos_pipelines.catalog.records import Prompt
from cosmos_pipelines.catalog.tables import prompts
from cosmos_pipelines.errors import InputError

MOST_WORDS: Final = 32
"""Most words of a search; FTS5 refuses expressions deeper than 256."""
LONGEST_WORD: Final = 200
"""Most characters of a word; PostgreSQL refuses words of more than 2,046 bytes in a query."""

BEGINNING: Final = 3
"""Characters of a word with which a filter also finds longer words that begin so."""

_MOST: Final = 100_000
"""Characters that are looked at."""
_BLANKS: Final = str.maketrans(dict.fromkeys(string.punctuation, " "))

RANKED: Final = 200
"""How many of the newest that have all words are ranked, and of those with all in their name."""

_SQLITE: Final = text(
    """
    WITH found (number, rank) AS (
        SELECT * FROM (
            SELECT rowid, bm25(prompts_fts, 4, 1) FROM prompts_fts
            WHERE prompts_fts MATCH :query ORDER BY rowid DESC LIMIT :most)
        UNION ALL
        SELECT * FROM (
            SELECT rowid, bm25(prompts_fts, 4, 1) FROM prompts_fts
            WHERE prompts_fts MATCH '{name} : (' || :query || ')' ORDER BY rowid DESC LIMIT :most)
    ), best (number, rank) AS MATERIALIZED (
        SELECT number, min(rank) FROM found GROUP BY number
    )
    SELECT id FROM best CROSS JOIN prompts USING (number)
    ORDER BY rank, created_at DESC, id LIMIT :limit
    """
)
_QUERY: Final = "plainto_tsquery('catalog_english', :query)"
# The planner does not know how rare a word is, and may read all prompts in vain for a rare one: so
# the newest are looked through first, and only if they have too few, all through the index.
_NEWEST: Final = """
    SELECT number FROM (
        SELECT number, words, created_at FROM prompts ORDER BY created_at DESC LIMIT 3000
    ) AS newest WHERE {condition} ORDER BY created_at DESC LIMIT :most
"""
_ALL: Final = """
    WITH found AS MATERIALIZED (SELECT number, created_at FROM prompts WHERE {condition})
    SELECT number FROM found ORDER BY created_at DESC LIMIT :most
"""
_WORDS: Final = f"words @@ {_QUERY}"
_IN_NAME: Final = f"ts_filter(words, '{{a}}') @@ {_QUERY}"
_BEST: Final = text(
    f"""
    SELECT id FROM prompts WHERE number = ANY(:numbers)
    ORDER BY ts_rank('{{0.25, 0.25, 0.25, 1.0}}', words, {_QUERY}, 1) DESC, created_at DESC, id
    LIMIT :limit
    """  # noqa: S608 - no word of a user is in it
)


def search_prompts(catalog: Database, words: str, limit: int = 20) -> list[Prompt]:
    """Return the prompts that have all `words`, best first; also those whose id begins with them.

    Where more than `RANKED` have them, the newest are ranked, and the newest with all in the name.

    Raises:
        InputError: there is no word in `words`.
    """
    wanted = _words(words)
    if not wanted:
        raise InputError("No word to search for was given.", hint="Give a word of the prompt.")
    with catalog.read() as connection:
        ids = _by_id(catalog, storable(words).strip(), limit)
        by_words = _in_sqlite if catalog.sqlite else _in_postgresql
        ids += by_words(connection, wanted, limit)
        ranked = list(dict.fromkeys(ids))[:limit]
        rows = connection.execute(select(*COLUMNS).where(prompts.c.id.in_(ranked))).all()
    found = {prompt.id: prompt for prompt in map(prompt_of, rows)}
    return [found[prompt_id] for prompt_id in ranked if prompt_id in found]


def having_words(catalog: Database, words: str) -> Select[Any] | None:
    """Return a query of the ids of the prompts that have all `words`; None: there is no word.

    A word of three characters or more also finds those that begin with it: rain finds rainy.
    """
    wanted = _words(words)
    if not wanted:
        return None
    if catalog.sqlite:
        query = " ".join(f'"{word}"{"*" if len(word) >= BEGINNING else ""}' for word in wanted)
        matching = text("SELECT rowid FROM prompts_fts WHERE prompts_fts MATCH :words")
        numbers = matching.bindparams(words=query).columns(column("rowid", Integer))
        return select(prompts.c.id).where(prompts.c.number.in_(numbers))
    query = " & ".join(f"'{word}'{':*' if len(word) >= BEGINNING else ''}" for word in wanted)
    found = text("words @@ to_tsquery('catalog_english', :words)").bindparams(words=query)
    return select(prompts.c.id).where(found)


def _words(text: str) -> list[str]:
    from cosmos_pipelines.operations.text import visible

    split = storable(visible(text[:_MOST])).translate(_BLANKS).split()
    return list(dict.fromkeys(word[:LONGEST_WORD] for word in split))[:MOST_WORDS]


def _in_sqlite(connection: Connection, wanted: list[str], limit: int) -> list[str]:
    query = " ".join(f'"{word}"' for word in wanted)
    values = {"query": query, "limit": limit, "most": max(RANKED, limit)}
    return list(connection.execute(_SQLITE, values).scalars())


def _in_postgresql(connection: Connection, wanted: list[str], limit: int) -> list[str]:
    most = max(RANKED, limit)
    values: dict[str, Any] = {"query": " ".join(wanted), "limit": limit, "most": most}
    found: set[int] = set()
    for condition in (_WORDS, _IN_NAME):
        for look in (_NEWEST, _ALL):
            statement = text(look.format(condition=condition))
            numbers = connection.execute(statement, values).scalars().all()
            if len(numbers) >= most:
                break
        found.update(numbers)
    best = {**values, "numbers": list(found)}
    return list(connection.execute(_BEST, best).scalars()) if found else []


def _by_id(catalog: Database, beginning: str, limit: int) -> list[str]:
    if not beginning.startswith("ps_") or len(beginning) > LONGEST_ID:
        return []
    begins = begins_with(catalog, prompts.c.id, beginning)
    statement = select(prompts.c.id).where(begins).order_by(in_bytes(catalog, prompts.c.id))
    return [row.id for row in catalog.rows(statement.limit(limit))]
