"""What it costs to look something up in the catalog, with 1,000, 100,000 and 1,000,000 rows.

Both databases, if PostgreSQL is installed. A catalog of N has N runs and N prompts. Each line has
the median over several different questions: the CPU of this process, and with PostgreSQL that of
the server's process too. The yardstick is one reading of all ids of the runs, with the database's
own driver and a condition on each: what is left to somebody who has a shell of the database.

`--plans` prints what the database says of how it answers (EXPLAIN) instead.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import event, text

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.search import search_prompts
from cosmos_pipelines.catalog.tables import prompts, revisions, runs
from cosmos_pipelines.errors import InputError

SIZES = (1_000, 100_000, 1_000_000)
QUESTIONS = 9
ROWS_AT_ONCE = 10_000
COMMON = ("street", "light", "morning")
"""Words that every second prompt has."""
STATUSES = ["completed"] * 95 + ["failed"] * 3 + ["cancelled", "pending"]
TYPES = ["transfer"] * 80 + ["upscale"] * 15 + ["enhance"] * 5
START = datetime(2026, 1, 1, tzinfo=UTC)

Question = Callable[[Catalog, random.Random], object]


def fill(catalog: Catalog, count: int) -> None:
    """N prompts and N runs, the same in each catalog."""
    chance = random.Random(1)
    for first in range(0, count, ROWS_AT_ONCE):
        numbers = range(first, min(count, first + ROWS_AT_ONCE))
        with catalog.write() as tx:
            texts = [_prompt(n, chance) for n in numbers]
            tx.connection.execute(prompts.insert(), texts)
            tx.connection.execute(runs.insert(), [_run(n, chance) for n in numbers])
            tx.connection.execute(revisions.update().values(value=2 * count + 1))
    with catalog.engine.execution_options(
        **{"cosmos_begin": ""} if catalog.sqlite else {"isolation_level": "AUTOCOMMIT"}
    ).connect() as connection:
        if not catalog.sqlite:  # as the server does by itself after a while
            connection.execute(text("VACUUM ANALYZE"))


def prompt_id(n: int) -> str:
    """A prompt's id, as random as a real one."""
    return f"ps_{random.Random(n).getrandbits(64):016x}"


def run_id(n: int) -> str:
    """A run's id, as random as a real one."""
    return f"rs_{random.Random(-n - 1).getrandbits(128):032x}"


def word(n: int) -> str:
    """A word that looks like one."""
    vowels, consonants, syllables = "aeiou", "bdfgklmnprstvz", []
    while n or not syllables:
        n, syllable = divmod(n, 70)
        syllables.append(consonants[syllable % 14] + vowels[syllable // 14])
    return "".join(syllables) + "n"


def name(n: int) -> str:
    """A prompt's name."""
    chance = random.Random(n)
    return "_".join(word(chance.randrange(300_000)) for _ in range(3))


def _prompt(n: int, chance: random.Random) -> dict[str, Any]:
    words = [word(int(300_000 * chance.random() ** 3)) for _ in range(12)]
    words += [w for w in COMMON if chance.random() < 0.5]
    at = START + timedelta(seconds=n)
    return {
        "id": prompt_id(n), "text": " ".join(words), "negative_prompt": None,
        "scene": f"scene_{n % 200}", "name": name(n), "parameters": {}, "parent_prompt_id": None,
        "source_run_id": None, "created_at": at, "updated_at": at, "revision": 2 * n + 2,
    }  # fmt: skip


def _run(n: int, chance: random.Random) -> dict[str, Any]:
    at = START + timedelta(seconds=n)
    status = chance.choice(STATUSES)
    values = dict.fromkeys(runs.c.keys())
    return values | {
        "id": run_id(n), "prompt_id": prompt_id(n // 4 * 4),
        "model_type": chance.choice(TYPES), "status": status, "engine": "preview",
        "backend": "local", "execution_config": {"seed": n, "num_steps": 35},
        "outputs": {"video": f"outputs/run_{n}/video.mp4"}, "created_at": at, "updated_at": at,
        "priority": 0, "attempt": 1, "tags": ["keep"] if chance.random() < 0.02 else [],
        "rating": chance.randint(1, 5) if chance.random() < 0.1 else None,
        "queued_at": at if status == "pending" else None, "source": {}, "notes": [],
        "revision": 2 * n + 3,
    }  # fmt: skip


def some(chance: random.Random, catalog: Catalog) -> int:
    """The number of one of the rows."""
    return chance.randrange(SIZE[catalog.where])


SIZE: dict[str, int] = {}


def mistyped(found: str, chance: random.Random) -> str:
    """With one character that is another."""
    at = chance.randrange(6, len(found))
    return found[:at] + ("0" if found[at] != "0" else "1") + found[at + 1 :]


def asked(look: Callable[[], object]) -> object:
    """The answer, or the error that offers the nearest."""
    with suppress(InputError):
        return look()
    return None


QUESTIONS_OF: dict[str, Question] = {
    "list runs": lambda c, _: c.list_runs(),
    "list prompts": lambda c, _: c.list_prompts(),
    "list runs of a type": lambda c, _: c.list_runs(model_type="enhance"),
    "list runs of a status": lambda c, _: c.list_runs("failed"),
    "list runs of two statuses": lambda c, _: c.list_runs(["failed", "completed"]),
    "list runs of a status and type": lambda c, _: c.list_runs("cancelled", model_type="enhance"),
    "list runs by rating": lambda c, _: c.list_runs(rating=4),  # type: ignore[call-arg]
    "list runs by tag": lambda c, _: c.list_runs(tag="keep"),  # type: ignore[call-arg]
    "list runs of a prompt": lambda c, r: c.list_runs(prompt_id=prompt_id(some(r, c) // 4 * 4)),
    "list prompts of a scene": lambda c, r: c.list_prompts(f"scene_{r.randrange(200)}"),
    "count runs by status": lambda c, _: c.count_by_status(),
    "queued runs": lambda c, _: c.queued_runs(),
    "run by id": lambda c, r: c.get_run(run_id(some(r, c))),
    "run by the beginning of its id": lambda c, r: c.get_run(run_id(some(r, c))[:15]),
    "prompt by the beginning of its id": lambda c, r: c.get_prompt(prompt_id(some(r, c))[:15]),
    "prompt by name": lambda c, r: asked(lambda: c.get_prompt(name(some(r, c)))),
    "run, id mistyped": lambda c, r: asked(lambda: c.get_run(mistyped(run_id(some(r, c)), r))),
    "prompt, id mistyped": lambda c, r: asked(
        lambda: c.get_prompt(mistyped(prompt_id(some(r, c)), r))
    ),
    "prompt, name mistyped": lambda c, r: asked(
        lambda: c.get_prompt(mistyped("a_" + name(some(r, c)), r)[2:])
    ),
    "search a rare word": lambda c, r: search_prompts(c, word(r.randrange(200_000, 300_000))),
    "search a common word": lambda c, _: search_prompts(c, COMMON[0]),
    "search three common words": lambda c, _: search_prompts(c, " ".join(COMMON)),
    "search a common and a rare word": lambda c, r: search_prompts(
        c, f"{COMMON[0]} {word(r.randrange(100_000, 300_000))}"
    ),
}  # fmt: skip


class Clock:
    """CPU of this process, and of the server's process that answers it."""

    def __init__(self, catalog: Catalog) -> None:
        self.server: Path | None = None
        if not catalog.sqlite:
            pid = catalog.rows(text("SELECT pg_backend_pid()"))[0][0]  # type: ignore[arg-type]
            self.server = Path(f"/proc/{pid}/schedstat")

    def now(self) -> float:
        """Milliseconds so far."""
        server = 0 if self.server is None else int(self.server.read_text().split()[0])
        return time.process_time() * 1e3 + server / 1e6

    def measure(self, catalog: Catalog, ask: Question, times: int) -> float:
        """The median of several questions, after one that is not counted."""
        chance = random.Random(2)
        took = []
        for _ in range(times + 1):
            began = self.now()
            ask(catalog, chance)
            took.append(self.now() - began)
            if took[-1] > 1000 and len(took) > 2:
                break
        return median(took[1:])


def scan(catalog: Catalog, _: random.Random) -> object:
    """Read all ids of runs."""
    return catalog.rows(text("SELECT id FROM runs WHERE id LIKE '%ffffff%'"))  # type: ignore[arg-type]


def plans(catalog: Catalog, ask: Question) -> list[str]:
    """What the database says of each SELECT of a question."""
    said: list[str] = []
    explain = "EXPLAIN QUERY PLAN " if catalog.sqlite else "EXPLAIN "

    def look(connection: Any, _c: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            cursor = connection.connection.cursor()
            cursor.execute(explain + statement, values)
            said.extend(str(row[-1]) for row in cursor.fetchall())

    event.listen(catalog.engine, "before_cursor_execute", look)
    try:
        ask(catalog, random.Random(2))
    finally:
        event.remove(catalog.engine, "before_cursor_execute", look)
    return said


def catalogs(databases: list[str], stack: ExitStack) -> Iterator[tuple[str, Callable[[], str]]]:
    """Each database, and what makes a new one of it."""
    if "sqlite" in databases:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cosmos-bench-")))
        numbers = iter(range(100))
        yield "sqlite", lambda: f"sqlite:///{place / f'{next(numbers)}.db'}"
    if "postgresql" in databases:
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from tests.support.postgres import fresh_database, running_server

        server = stack.enter_context(running_server())
        yield "postgresql", lambda: stack.enter_context(fresh_database(server))


def report(database: str, size: int, catalog: Catalog, *, only_plans: bool, only: str) -> None:
    """Print a line for each question."""
    clock = Clock(catalog)
    yardstick = clock.measure(catalog, scan, 3)
    for what, ask in QUESTIONS_OF.items():
        if only not in what:
            continue
        line: dict[str, Any] = {"name": what, "database": database, "rows": size}
        try:
            if only_plans:
                line["plan"] = plans(catalog, ask)
            else:
                value = clock.measure(catalog, ask, QUESTIONS)
                line |= {
                    "value": round(value, 2),
                    "unit": "CPU ms",
                    "against": f"one reading of all ids, {yardstick:.1f} ms",
                    "ratio": round(value / yardstick, 3),
                }
        except TypeError:
            line["value"] = "not there"
        print(json.dumps(line), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=SIZES)
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--only", default="", help="questions with this in their name")
    options = parser.parse_args()
    with ExitStack() as stack:
        for database, fresh in catalogs(options.databases, stack):
            for size in options.rows:
                with Catalog.open(fresh()) as catalog:
                    fill(catalog, size)
                    SIZE[catalog.where] = size
                    report(database, size, catalog, only_plans=options.plans, only=options.only)


if __name__ == "__main__":
    main()
