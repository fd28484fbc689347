from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.search import search_prompts
from cosmos_pipelines.errors import InputError
from tests.catalog.rows import add_prompt


def found(catalog: Catalog, words: str, limit: int = 20) -> list[str]:
    return [prompt.text for prompt in search_prompts(catalog, words, limit)]


def test_all_words_are_found_in_any_inflection_and_case(catalog: Catalog) -> None:
    add_prompt(catalog, "A man walking through low-lying mist")
    add_prompt(catalog, "Two men walk in the sun")
    assert found(catalog, "WALKS mist") == ["A man walking through low-lying mist"]
    assert len(found(catalog, "walked")) == 2
    assert found(catalog, "lying") == ["A man walking through low-lying mist"]
    assert found(catalog, "snow") == []


def test_common_words_and_words_in_paths_are_found(catalog: Catalog) -> None:
    add_prompt(catalog, "neon/rain.night at www.example.com")
    for words in ("night", "rain", "example", "neon rain", "www.example.com", "at"):
        assert len(found(catalog, words)) == 1
    add_prompt(catalog, "the end")
    assert found(catalog, "the") == ["the end"]


def test_a_hit_in_the_name_comes_first(catalog: Catalog) -> None:
    add_prompt(catalog, "sunset over the sea", name="other")
    add_prompt(catalog, "the sea in the evening", name="sunset_ocean")
    add_prompt(catalog, "waves", name="other")
    assert found(catalog, "sunset") == ["the sea in the evening", "sunset over the sea"]
    assert found(catalog, "sunset", limit=1) == ["the sea in the evening"]
    assert found(catalog, "ocean") == ["the sea in the evening"]


def test_equally_good_hits_come_newest_first(catalog: Catalog) -> None:
    for number in range(3):
        add_prompt(catalog, "fog in a street", parameters={"n": number})
    ids = [prompt.id for prompt in search_prompts(catalog, "fog")]
    assert ids == [prompt.id for prompt in catalog.list_prompts()]


def test_the_beginning_of_an_id_finds_its_prompt(catalog: Catalog) -> None:
    prompt = add_prompt(catalog)
    add_prompt(catalog, "other")
    assert [p.id for p in search_prompts(catalog, prompt.id[:10])] == [prompt.id]


def test_a_deleted_prompt_is_not_found_any_more(catalog: Catalog) -> None:
    add_prompt(catalog, "fog")
    with catalog.write() as tx:
        tx.connection.execute(text("DELETE FROM prompts"))
    assert found(catalog, "fog") == []


def test_the_index_survives_a_vacuum(tmp_path) -> None:
    with Catalog.open(f"sqlite:///{tmp_path / 'cosmos.db'}") as catalog:
        for number in range(5):
            add_prompt(catalog, f"word{number}")
        with catalog.write() as tx:
            tx.connection.execute(text("DELETE FROM prompts WHERE text = 'word1'"))
        with catalog.engine.execution_options(cosmos_begin="").connect() as connection:
            connection.exec_driver_sql("VACUUM")
        assert found(catalog, "word4") == ["word4"]


@pytest.mark.parametrize("words", ["", "  ", "\n", "\x00", '"', "* - ()"])
def test_a_search_without_a_word_is_refused(catalog: Catalog, words: str) -> None:
    with pytest.raises(InputError, match="No word to search for"):
        search_prompts(catalog, words)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec=None)))
@example("a AND b OR NOT NEAR(c d) name: x* ^y {text}: \"'; DROP TABLE prompts; --")
@example("word " * 5000)
@example(" ".join(map(str, range(5000))))
@example("x" * 10_000)
@example("☃" * 3000)
@example("ps_%")
def test_no_text_ever_breaks_the_search(catalog: Catalog, words: str) -> None:
    add_prompt(catalog)
    with suppress(InputError):
        search_prompts(catalog, words)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1))
@example("ﬁ")
def test_a_prompt_of_ascii_words_is_found_by_its_own_text(catalog: Catalog, words: str) -> None:
    words = "".join(c if c.isascii() else " " for c in words)
    if not any(c.isalnum() for c in words):
        return
    prompt = add_prompt(catalog, words)
    assert prompt.id in [p.id for p in search_prompts(catalog, words, limit=1000)]
