"""Runs are found by their filters in every order, page by page, as a plain filter finds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from cosmos_pipelines.catalog import Catalog, Prompt, Run
from cosmos_pipelines.catalog.completing import values_of
from cosmos_pipelines.catalog.finding import Wanted, among, count, find_ids, made_of
from cosmos_pipelines.catalog.numbers import recorded_numbers
from cosmos_pipelines.catalog.run_filter import RunFilter
from cosmos_pipelines.catalog.tables import runs
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.runs.filters import run_filter
from tests.catalog.rows import add_prompt, add_run

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = {"rain": "a rainy night in the city", "noon": "the city at noon", "fog": "fog in a forest"}
WORDS = [
    "rain",
    "city",
    "night city",
    "forest",
    "zebra",
    "rainy",
    "nig ci",
    "at",
    "-",
    "rs_",
    "ps_",
]
FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "words": st.sampled_from(WORDS),
    "scene": st.lists(st.sampled_from(["city", "wood", "none"]), min_size=1),
    "recipe": st.sampled_from(["soft", "hard"]),
    "engine": st.lists(st.sampled_from(["preview", "other"]), min_size=1),
    "status": st.lists(st.sampled_from(["pending", "completed"]), min_size=1),
    "type": st.sampled_from(["transfer", "upscale"]),
    "rating": st.integers(1, 5),
    "tag": st.lists(st.sampled_from(["keep", "good"]), min_size=1),
    "without": st.sampled_from(["keep", "good"]),
    "batch": st.sampled_from(["first", "b1"]),
    "since": st.integers(0, 12).map(lambda h: START + timedelta(hours=h)),
}
SORTS = (
    "newest", "oldest", "rating", "-rating", "settings.seed", "-settings.seed",
    "-outputs.timing.seconds", "duration_s", "-attempt",
)  # fmt: skip


def made(catalog: Catalog, count: int = 24) -> list[Run]:
    """Runs of all kinds, some made of others, some at the same moment."""
    names = list(TEXTS)
    prompts = [
        add_prompt(catalog, TEXTS[n], name=n, scene="wood" if n == "fog" else "city") for n in names
    ]
    found: list[Run] = []
    for n in range(count):
        parent = found[n - 2] if n % 5 == 3 else None
        run = add_run(
            catalog,
            prompt_id=parent.prompt_id if parent else prompts[n % 3].id,
            model_type="upscale" if parent else "transfer",
            parent_run_id=parent.id if parent else None,
            recipe=[None, "soft", "hard"][n % 4 % 3],
            engine="other" if n % 6 == 0 else "preview",
            tags=[t for t, k in (("keep", 2), ("good", 3), ("batch:first", 4)) if n % k == 0],
            execution_config={"seed": n % 4 if n % 7 else "none"} if n % 9 else {},
        )
        with catalog.write() as tx:
            at = START + timedelta(hours=n // 2)
            values: dict[str, Any] = {
                "created_at": at, "rating": n % 6 or None, "batch_id": "b1" if n % 4 == 1 else None,
            }  # fmt: skip
            if n % 3:
                values |= {
                    "status": "completed", "started_at": at,
                    "completed_at": at + timedelta(milliseconds=500 * (n % 4)),
                    "outputs": {"timing": {"seconds": n % 5 / 2}, "flag": True},
                }  # fmt: skip
            tx.connection.execute(
                update(runs).where(runs.c.id == run.id).values(**values, **tx.stamp())
            )
        found.append(catalog.get_run(run.id))
    return found


def plain(run: Run, prompts: dict[str, Prompt], given: dict[str, Any]) -> bool:
    """Whether a run has what a filter says."""
    prompt = prompts[str(run.prompt_id)]
    words = {"rain", "rainy"} if "rainy" in prompt.text else set()
    has: dict[str, Any] = {
        "words": lambda v: (
            v in ("-", "rs_", "ps_") or {*v.split()} <= {*prompt.text.split(), prompt.name, *words}
        ),
        "scene": lambda v: prompt.scene in v,
        "recipe": lambda v: run.recipe == v,
        "engine": lambda v: run.engine in v,
        "status": lambda v: run.status in v,
        "type": lambda v: run.model_type == v,
        "rating": lambda v: (run.rating or 0) >= v,
        "tag": lambda v: {*v} <= {*run.tags},
        "without": lambda v: v not in run.tags,
        "batch": lambda v: f"batch:{v}" in run.tags or run.batch_id == v,
        "since": lambda v: run.created_at >= v,
    }
    return all(has[name](value) for name, value in given.items())


def key(run: Run, sort: str) -> Any:
    """By which a list of runs is sorted: runs without the number last, equal ones newest first."""
    moment = run.created_at.timestamp()
    if sort in ("newest", "oldest"):
        return (moment if sort == "oldest" else -moment, run.id)
    seed = run.execution_config.get("seed")
    number: Any = {
        "rating": run.rating,
        "settings.seed": seed if isinstance(seed, int) else None,
        "outputs.timing.seconds": run.outputs.get("timing", {}).get("seconds"),
        "duration_s": run.duration_s,
        "attempt": run.attempt,
    }[sort.removeprefix("-")]
    if number is None:
        return (1, 0, -moment, run.id)
    return (0, -number if sort.startswith("-") or sort == "rating" else number, -moment, run.id)


def test_filters_orders_and_pages_find_what_a_plain_filter_finds(catalog: Catalog) -> None:
    everything = made(catalog)
    prompts = {p.id: p for p in catalog.list_prompts()}

    @settings(max_examples=120, suppress_health_check=list(HealthCheck))
    @given(
        st.fixed_dictionaries({}, optional=FILTERS),
        st.sampled_from(SORTS),
        st.booleans(),
        st.integers(1, 9),
    )
    def check(filters: dict[str, Any], sort: str, grouped: bool, limit: int) -> None:
        wanted = Wanted(RunFilter.parse(filters), sort, grouped)
        having = [run for run in everything if plain(run, prompts, filters)]
        ids = {run.id for run in having}
        if grouped:
            having = [run for run in having if run.parent_run_id not in ids]
        expected = [run.id for run in sorted(having, key=lambda run: key(run, sort))]
        assert find_ids(catalog, wanted) == (expected, None)
        assert count(catalog, wanted) == len(expected)
        assert set(among(catalog, wanted, [run.id for run in everything])) == set(expected)
        pages, after = list[str](), None
        while True:
            page, after = find_ids(catalog, wanted, after=after, limit=limit)
            pages += page
            if after is None:
                break
        assert pages == expected

    check()


@pytest.mark.parametrize(
    "words", ["it's", "a\\b'c", "x:*&!(", "'; --", "naïve–café", "日本", "\x00", "*"]
)
def test_any_words_are_looked_for(catalog: Catalog, words: str) -> None:
    made(catalog, 3)
    find_ids(catalog, Wanted(RunFilter.parse({"words": words}), grouped=True))


def test_a_page_goes_on_where_the_last_one_ended_though_a_newer_run_came(catalog: Catalog) -> None:
    everything = made(catalog, 8)
    wanted = Wanted(RunFilter())
    first, after = find_ids(catalog, wanted, limit=3)
    add_run(catalog)
    rest, _ = find_ids(catalog, wanted, after=after)
    newest = sorted(everything, key=lambda run: key(run, "newest"))
    assert first + rest == [run.id for run in newest]


def test_a_run_and_what_was_made_of_it_are_one_family(catalog: Catalog) -> None:
    video = add_run(catalog)
    larger = add_run(catalog, model_type="upscale", parent_run_id=video.id)
    again = add_run(catalog, parent_run_id=larger.id)
    other = add_run(catalog)
    assert made_of(catalog, [video.id, other.id]) == {video.id: [larger.id, again.id], other.id: []}
    found, _ = find_ids(catalog, Wanted(RunFilter(of=video.id), "oldest"))
    assert found == [video.id, larger.id, again.id]


def test_recorded_numbers_are_those_of_columns_settings_and_outputs(catalog: Catalog) -> None:
    made(catalog, 6)
    names = recorded_numbers(catalog)
    assert {"duration_s", "rating", "attempt", "settings.seed", "outputs.timing.seconds"} <= {
        *names
    }
    assert not {"revision", "outputs.flag"} & {*names}
    for name in names:
        find_ids(catalog, Wanted(RunFilter(), name))


@pytest.mark.parametrize(
    "sort", ["", "-", "revision", "status", "outputs", "outputs.", "tags.x'y", "x" * 500, "sed"]
)
def test_an_order_that_is_no_number_is_refused(catalog: Catalog, sort: str) -> None:
    with pytest.raises(InputError, match="to sort by"):
        find_ids(catalog, Wanted(RunFilter(), sort))


@pytest.mark.parametrize(
    "after", ["", "x", "bnVsbA==", "WzEsMiwzXQ==", "é", "W251bGwsIjIwMjYiLDFd"]
)
def test_a_place_that_no_page_named_is_refused(catalog: Catalog, after: str) -> None:
    with pytest.raises(InputError, match="no place"):
        find_ids(catalog, Wanted(RunFilter()), after=after)


def test_values_of_filters_are_offered_with_the_most_frequent_first(catalog: Catalog) -> None:
    made(catalog)
    assert values_of(catalog, "scene") == [("city", 17), ("wood", 7)]
    assert [value for value, _ in values_of(catalog, "tag")] == ["keep", "good"]
    assert values_of(catalog, "batch") == [("first", 6)]
    assert [value for value, _ in values_of(catalog, "recipe", "OF")] == ["soft"]
    assert [value for value, _ in values_of(catalog, "engine")] == ["preview", "other"]
    assert values_of(catalog, "status", "comp") == [("completed", None)]
    assert values_of(catalog, "words", "night c") == [("night city", 2)]
    assert values_of(catalog, "words", "for") == [("forest", 1)]
    assert values_of(catalog, "words", "%") == []
    assert values_of(catalog, "nothing") == []


@pytest.mark.parametrize(("since", "hours"), [("12h", 12), ("2d", 48), ("1w", 168)])
def test_since_is_an_age_or_a_date(since: str, hours: int) -> None:
    assert run_filter({"since": since}, START).since == START - timedelta(hours=hours)
    assert run_filter({"since": "2026-01-01T00:00:00Z"}).since == START


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"since": "yesterday"}, "neither an age nor a date"),
        ({"since": "99999999999w"}, "neither an age nor a date"),
        ({"rating": 6}, "rating"),
        ({"rating": "x"}, "rating"),
        ({"status": "done"}, "status"),
        ({"type": "video"}, "type"),
        ({"scene": ["x"] * 200 + [str(n) for n in range(200)]}, "scene"),
        ({"words": "x" * 5000}, "words"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run_filter(fields)
