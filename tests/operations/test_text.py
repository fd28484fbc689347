from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.text import LONGEST, clean_text

ANY_TEXT = st.text(st.characters(codec=None), max_size=200)
ORDINARY = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"))


@given(ANY_TEXT)
def test_a_cleaned_text_is_clean_whatever_it_was(text: str) -> None:
    try:
        cleaned = clean_text(text)
    except InputError as e:
        assert "empty" in str(e)
        return
    assert cleaned.encode("utf-8")
    assert cleaned == cleaned.strip() != ""
    assert {c for c in cleaned if unicodedata.category(c) in ("Cc", "Cs")} <= {"\n", "\t"}
    assert not {"\u2028", "\u2029"} & set(cleaned)
    assert clean_text(cleaned) == cleaned


@given(st.text(ORDINARY, min_size=1))
def test_an_ordinary_text_only_loses_its_outer_blanks(text: str) -> None:
    try:
        assert clean_text(text) == text.strip()
    except InputError:
        assert all(c.isspace() or unicodedata.category(c) == "Cf" for c in text)


@pytest.mark.parametrize(
    ("given_text", "cleaned"),
    [
        ("a\r\nb\rc\u2028d\x0be", "a\nb\nc\nd\ne"),
        ("a\x00b\x07c\x1b[31m", "abc[31m"),
        ("a\tb", "a\tb"),
        ("  fog \n", "fog"),
        ("\ud83d\ude00 sun", "\U0001f600 sun"),
        ("sun\ud800set", "sunset"),
        ("日没 — la mer", "日没 — la mer"),
    ],
)
def test_line_ends_controls_and_surrogates_are_settled(given_text: str, cleaned: str) -> None:
    assert clean_text(given_text) == cleaned


@pytest.mark.parametrize("text", ["", " \n\t", "\x00", "\u200b", "\ud800"])
def test_a_text_without_anything_to_see_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="The negative prompt is empty"):
        clean_text(text, "negative prompt")


def test_a_text_of_10000_characters_passes_and_a_longer_one_is_told_its_length() -> None:
    assert len(clean_text("x" * LONGEST + "  ")) == LONGEST
    with pytest.raises(InputError, match="10,001 characters; 10,000 are allowed"):
        clean_text("x" * (LONGEST + 1))
