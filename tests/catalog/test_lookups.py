"""Look-ups read what they answer with: the database says of each that an index serves it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from cosmos_pipelines.catalog import Catalog, Run
from cosmos_pipelines.catalog.finding import Wanted, find_ids
from cosmos_pipelines.catalog.lookup import begins_with, near
from cosmos_pipelines.catalog.run_filter import RunFilter
from cosmos_pipelines.catalog.search import RANKED, search_prompts
from cosmos_pipelines.catalog.tables import prompts
from cosmos_pipelines.errors import InputError, UnknownId
from tests.catalog.rows import OWNER, add_prompt, add_run
from tests.support.catalogs import BOTH, empty_catalog

OFTEN = 40
QUESTIONS: dict[str, Callable[[Catalog, Run], object]] = {
    "all runs": lambda c, _: c.list_runs(),
    "a type": lambda c, _: c.list_runs(model_type="enhance"),
    "a status": lambda c, _: c.list_runs("pending"),
    "two statuses": lambda c, _: c.list_runs(["pending", "failed"]),
    "a status of a type": lambda c, _: c.list_runs("pending", model_type="enhance"),
    "a rating": lambda c, _: c.list_runs(rating=4),
    "a tag": lambda c, _: c.list_runs(tag="keep"),
    "a batch": lambda c, _: c.list_runs(batch_id="batch"),
    "4K runs of a run": lambda c, run: c.list_runs(parent_run_id=run.id),
    "runs of a prompt": lambda c, run: c.list_runs(prompt_id=run.prompt_id),
    "ids of a prompt's runs": lambda c, run: c.run_ids(str(run.prompt_id)),
    "the queue": lambda c, _: c.queued_runs(),
    "active runs": lambda c, _: c.active_runs(),
    "newest of a type": lambda c, _: c.get_run("latest-transfer"),
    "all prompts": lambda c, _: c.list_prompts(),
    "prompts of a scene": lambda c, _: c.list_prompts("city"),
    "run": lambda c, run: c.get_run(run.id),
    "run by its beginning": lambda c, run: c.get_run(run.id[:20]),
    "prompt by its beginning": lambda c, run: c.get_prompt(str(run.prompt_id)[:14]),
    "prompt by its name": lambda c, _: c.get_prompt("fog_7"),
    "name in use": lambda c, _: c.has_prompt_named("fog_7"),
    "run, mistyped": lambda c, run: refused(c.get_run, run.id[:-1] + "x"),
    "prompt, mistyped": lambda c, run: refused(c.get_prompt, f"{run.prompt_id}"[:-1] + "x"),
    "name, mistyped": lambda c, _: refused(c.get_prompt, "fig_7"),
    "scene, mistyped": lambda c, _: refused(c.get_scene, "citi"),
    "search": lambda c, _: search_prompts(c, "fog street"),
    "runs found": lambda c, _: find_ids(c, Wanted(RunFilter(), grouped=True), limit=5),
    "runs found of a recipe": lambda c, _: find_ids(
        c, Wanted(RunFilter(recipe=("soft",))), limit=5
    ),
    "runs found of an engine": lambda c, _: find_ids(c, Wanted(RunFilter(engine=("x",))), limit=5),
    "search for an id": lambda c, run: search_prompts(c, str(run.prompt_id)[:10]),
}


def refused(look: Callable[[str], object], wanted: str) -> None:
    with pytest.raises(UnknownId):
        look(wanted)


@pytest.fixture(scope="module", params=BOTH)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Catalog, Run]]:
    """A catalog with something of everything; PostgreSQL is asked what an index can do."""
    with empty_catalog(request, tmp_path_factory.mktemp("filled")) as catalog:
        yield catalog, _fill(catalog)


def _fill(catalog: Catalog) -> Run:
    for n in range(OFTEN):
        prompt = add_prompt(catalog, f"fog in a street {n}", name=f"fog_{n}")
        run = add_run(
            catalog,
            prompt_id=prompt.id,
            queued=n % 2 == 0,
            model_type="enhance" if n % 3 else "transfer",
            tags=["keep"] if n % 4 == 0 else [],
        )
        if n % 5 == 0:
            catalog.rate(run.id, 4)
    if not catalog.sqlite:
        with catalog.engine.connect() as connection:
            database = connection.execute(text("SELECT current_database()")).scalar_one()
            for method in ("seqscan", "sort"):
                connection.execute(text(f"ALTER DATABASE {database} SET enable_{method} = off"))
            connection.execute(text("ANALYZE"))
            connection.commit()
        catalog.engine.dispose()
    return run


def plan_of(catalog: Catalog, ask: Callable[[], object]) -> str:
    """What the database says of each SELECT, a line a step."""
    said: list[str] = []
    explain = "EXPLAIN QUERY PLAN " if catalog.sqlite else "EXPLAIN "

    def look(connection: Any, _: Any, statement: str, values: Any, *__: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            cursor = connection.connection.cursor()
            cursor.execute(explain + statement, values)
            said.extend(str(row[-1]) for row in cursor.fetchall())

    event.listen(catalog.engine, "before_cursor_execute", look)
    try:
        ask()
    finally:
        event.remove(catalog.engine, "before_cursor_execute", look)
    assert said
    return "\n".join(said)


WHOLE = re.compile(
    # of SQLite: a table, or an index in another order than that of time, read to its end
    r"SCAN (?:runs|prompts|scenes|run_tags)\b(?! USING INDEX ix_\w+_created_at$).*"
    r"|USE TEMP B-TREE FOR ORDER BY|Seq Scan on (?:runs|prompts|scenes|run_tags)\b.*",
    re.MULTILINE,
)
SORTED = ("active runs", "a batch", "4K runs of a run", "search", "search for an id")
"""Few rows, which are sorted when they are there."""


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_index_serves_each_look_up(filled: tuple[Catalog, Run], question: str) -> None:
    catalog, run = filled
    plan = plan_of(catalog, lambda: QUESTIONS[question](catalog, run))
    whole = [step for step in WHOLE.findall(plan) if question not in SORTED or "SCAN" in step]
    assert whole == [], plan


def test_the_runs_of_several_statuses_or_ratings_are_listed_in_one_order(catalog: Catalog) -> None:
    runs = [add_run(catalog) for _ in range(9)]
    for run in runs[::2]:
        catalog.cancel_pending(run.id)
    for n, run in enumerate(runs):
        catalog.rate(run.id, 1 + n % 5)
    newest = [run.id for run in runs[::-1]]

    def listed(**fields: Any) -> list[str]:
        return [run.id for run in catalog.list_runs(**fields)]

    both = ["pending", "cancelled", "pending"]
    assert listed(status=both) == listed(status=both, limit=None) == newest
    assert listed(status=both, limit=3, offset=2) == newest[2:5]
    good = [run.id for n, run in reversed(list(enumerate(runs))) if n % 5 >= 3]
    assert listed(rating=4) == listed(rating=4, limit=None) == listed(rating=4, status=both) == good
    assert listed(rating=4, limit=1, offset=1) == good[1:2]
    for rating in (0, 6):
        with pytest.raises(InputError, match="1 to 5"):
            listed(rating=rating)


def test_runs_are_listed_by_their_tag_as_it_is_now(catalog: Catalog) -> None:
    one, two = add_run(catalog, tags=["Night", "b"]), add_run(catalog, tags=["night"])
    assert [run.id for run in catalog.list_runs(tag=" NIGHT")] == [two.id, one.id]
    catalog.tag(one.id, add=["keep"], remove=["night"])
    assert [run.id for run in catalog.list_runs(tag="night")] == [two.id]
    assert [run.id for run in catalog.list_runs(tag="keep", status="pending")] == [one.id]
    with catalog.write() as tx:
        tx.connection.execute(text(f"DELETE FROM runs WHERE id = '{one.id}'"))
    assert catalog.list_runs(tag="keep") == []
    with pytest.raises(InputError, match="empty"):
        catalog.list_runs(tag=" ")


def test_runs_are_counted_by_the_status_that_they_have_now(catalog: Catalog) -> None:
    runs = [add_run(catalog) for _ in range(4)]
    catalog.cancel_pending(runs[0].id)
    catalog.claim(runs[1].id, OWNER)
    with catalog.write() as tx:
        tx.connection.execute(text(f"DELETE FROM runs WHERE id = '{runs[2].id}'"))
    found = {status: number for status, number in catalog.count_by_status().items() if number}
    assert found == {"pending": 1, "uploading": 1, "cancelled": 1}


@pytest.mark.parametrize("at", [0, 1, 3, 8, 20, 31])
@pytest.mark.parametrize("fault", ["wrong", "missing", "more", "exchanged"])
def test_one_wrong_character_of_an_id_is_made_up_for(catalog: Catalog, at: int, fault: str) -> None:
    run_id = "rs_" + "0123456789abcdef" * 2
    add_run(catalog, run_id=run_id)
    for n in range(30):
        add_run(catalog, run_id=f"rs_{n % 15 + 1:x}{n:031x}")
    before, this, after = run_id[: at + 3], run_id[at + 3], run_id[at + 4 :]
    wrong = {
        "wrong": f"{before}e{after}" if this != "e" else f"{before}1{after}",
        "missing": before + after,
        "more": f"{before}7{this}{after}",
        "exchanged": f"{before}{after[:1]}{this}{after[1:]}",
    }[fault]
    if wrong == run_id or run_id.startswith(wrong):
        return
    with pytest.raises(UnknownId, match=run_id):
        catalog.get_run(wrong)


@pytest.mark.parametrize("wrong", ["sunst_ocean_waves", "wunset_ocean_waves", "sunset_ocean_wave"])
def test_one_wrong_character_of_a_name_is_made_up_for(catalog: Catalog, wrong: str) -> None:
    add_prompt(catalog, name="sunset_ocean_waves")
    for n in range(30):
        add_prompt(catalog, f"{n}", name=f"sun{chr(97 + n % 26)}_{n}")
    with pytest.raises(UnknownId, match="sunset_ocean_waves"):
        catalog.get_prompt(wrong)


def test_a_word_that_is_longer_than_any_name_is_not_handed_over_in_variations(
    catalog: Catalog,
) -> None:
    word, handed = "x" * 100_000, 0

    def look(*given: Any) -> None:
        nonlocal handed
        handed += str(given[3]).count(word[:50_000])

    event.listen(catalog.engine, "before_cursor_execute", look)
    assert near(catalog, prompts.c.name, word) == []
    assert 1 <= handed <= 20


def test_a_name_that_is_found_by_all_its_words_comes_first_among_many(catalog: Catalog) -> None:
    add_prompt(catalog, "old", name="fog")
    for n in range(RANKED + 5):
        add_prompt(catalog, "fog", parameters={"n": n}, name="other")
    found = search_prompts(catalog, "fog", 3)
    assert [prompt.name for prompt in found] == ["fog", "other", "other"]
    assert found[1].parameters == {"n": RANKED + 4}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1, max_size=4), max_size=6), st.text(min_size=1, max_size=3))
def test_a_beginning_finds_what_begins_so_whatever_its_characters(
    catalog: Catalog, names: list[str], beginning: str
) -> None:
    beginning = beginning.replace("\x00", "")
    with catalog.write() as tx:
        tx.connection.execute(text("DELETE FROM prompts"))
    for name in names:
        add_prompt(catalog, name=f"x{name}x")
    known = {prompt.name for prompt in catalog.list_prompts(limit=None)}
    condition = begins_with(catalog, prompts.c.name, f"x{beginning}")
    rows = catalog.rows(prompts.select().where(condition))
    assert {row.name for row in rows} == {n for n in known if n.startswith(f"x{beginning}")}
    assert known >= set(near(catalog, prompts.c.name, beginning))
