"""Find prompts by words: FTS5 on SQLite, `tsvector` on PostgreSQL, with the same results.

A prompt is found if its name and text together have all the words, in any English inflection; a
word in the name counts four times. The first migration makes the indices.
"""

from __future__ import annotations

import string
from typing import Final

from sqlalchemy import Connection, TextClause, select, text

from cosmos_pipelines.catalog.columns import LONGEST_ID, storable
from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.prompts import COLUMNS, prompt_of
from cosmos_pipelines.catalog.records import Prompt
from cosmos_pipelines.catalog.tables import prompts
from cosmos_pipelines.errors import InputError

MOST_WORDS: Final = 32
"""Most words of a search; FTS5 refuses expressions deeper than 256."""
LONGEST_WORD: Final = 200
"""Most characters of a word; PostgreSQL refuses words of more than 2,046 bytes in a query."""

_MOST: Final = 100_000
"""Characters that are looked at."""
_BLANKS: Final = str.maketrans(dict.fromkeys(string.punctuation, " "))

_SQLITE: Final = text(
    "SELECT prompts.id FROM prompts_fts JOIN prompts ON prompts.number = prompts_fts.rowid "
    "WHERE prompts_fts MATCH :query "
    "ORDER BY bm25(prompts_fts, 4, 1), prompts.created_at DESC, prompts.id LIMIT :limit"
)
_POSTGRESQL: Final = text(
    "SELECT id FROM prompts, plainto_tsquery('catalog_english', :query) AS query "
    "WHERE words @@ query ORDER BY ts_rank('{0.25, 0.25, 0.25, 1.0}', words, query, 1) DESC, "
    "created_at DESC, id LIMIT :limit"
)


def search_prompts(catalog: Database, words: str, limit: int = 20) -> list[Prompt]:
    """Return the prompts that have all `words`, best first; also those whose id begins with them.

    Raises:
        InputError: there is no word in `words`.
    """
    wanted = _words(words)
    if not wanted:
        raise InputError("No word to search for was given.", hint="Give a word of the prompt.")
    if catalog.sqlite:
        statement, query = _SQLITE, " ".join(f'"{word}"' for word in wanted)
    else:
        statement, query = _POSTGRESQL, " ".join(wanted)
    with catalog.read() as connection:
        ids = _by_id(connection, storable(words).strip(), limit)
        ids += _by_words(connection, statement, query, limit)
        ranked = list(dict.fromkeys(ids))[:limit]
        rows = connection.execute(select(*COLUMNS).where(prompts.c.id.in_(ranked))).all()
    found = {prompt.id: prompt for prompt in map(prompt_of, rows)}
    return [found[prompt_id] for prompt_id in ranked if prompt_id in found]


def _words(text: str) -> list[str]:
    from cosmos_pipelines.operations.text import visible

    split = storable(visible(text[:_MOST])).translate(_BLANKS).split()
    return list(dict.fromkeys(word[:LONGEST_WORD] for word in split))[:MOST_WORDS]


def _by_words(connection: Connection, statement: TextClause, query: str, limit: int) -> list[str]:
    return list(connection.execute(statement, {"query": query, "limit": limit}).scalars())


def _by_id(connection: Connection, beginning: str, limit: int) -> list[str]:
    if not beginning.startswith("ps_") or len(beginning) > LONGEST_ID:
        return []
    begins = prompts.c.id.startswith(beginning, autoescape=True)
    statement = select(prompts.c.id).where(begins).order_by(prompts.c.id).limit(limit)
    return list(connection.execute(statement).scalars())
