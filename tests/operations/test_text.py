from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.text import LONGEST, clean_name, clean_text, tidy

ANY_TEXT = st.text(st.characters(codec=None), max_size=200)
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point, as far as it is assigned or reserved."""
MARKS = st.sampled_from("\u200b\u200c\u200d\ufeff\u2060\u200e\ufe0f\U000e0041\u00ad")
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
    wanted = unicodedata.normalize("NFC", text).strip()
    try:
        cleaned = clean_text(text)
    except InputError:
        assert all(
            c.isspace() or INVISIBLE.match(c) or unicodedata.category(c) == "Cf" for c in text
        )
        return
    assert cleaned == wanted or INVISIBLE.search(wanted)
    assert INVISIBLE.sub("", cleaned) == unicodedata.normalize("NFC", INVISIBLE.sub("", cleaned))


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


BOM, ZWSP, ZWNJ, ZWJ, VS16 = "\ufeff", "\u200b", "\u200c", "\u200d", "\ufe0f"


NOBODY_SEES = (
    "\ufeff\u200b\u200c\u200d\u2060\u00ad\u200e\u200f\u202e\u2066\u061c\u034f\u115f\u17b4\u180b\u180e"
    "\u206a\u3164\ufe0f\uffa0\ufff9\uffff\U0001bca0\U000e0020\U000e0041\U000e007f\U000e0100"
)


@pytest.mark.parametrize("mark", NOBODY_SEES, ids=lambda c: f"U+{ord(c):04X}")
def test_what_nobody_sees_makes_no_other_text(mark: str) -> None:
    words = "A wet street, at night"
    for text in (mark + words, words + mark, mark.join(words), words.replace(" ", f" {mark}")):
        assert clean_text(text) == words
    with pytest.raises(InputError, match="empty"):
        clean_text(f" {mark}\n{mark}{mark} ")


@pytest.mark.parametrize(
    "text",
    [
        f"می{ZWNJ}خواهم",  # Persian: the prefix does not join the verb
        f"ه{ZWJ} گربه",  # the initial form of a letter that stands alone
        f"क्{ZWJ}ष",  # a half consonant
        f"क्{ZWNJ}ष",  # a visible virama
        f"র{ZWJ}্যাম",  # Bengali: the joiner stands before the virama
        f"ශ්{ZWJ}රී ලංකා",  # Sinhala
        f"\U0001f469{ZWJ}\U0001f4bb",  # a woman at a computer
        f"\U0001f469\U0001f3fd{ZWJ}\u2764{VS16}{ZWJ}\U0001f468",  # with a skin tone, a heart
        f"\U0001f3f4{ZWJ}\u2620{VS16}",  # a pirates' flag
        f"\U0001f642{ZWJ}\u2194{VS16}",  # shaking its head
        f"\u2600{VS16} 1{VS16}\u20e3 \u2139{VS16} \u00a9{VS16}",  # emoji, not text
        "葛\U000e0100城",  # an ideograph's variant, as in names
        "\u1820\u180b\u180e\u1820",  # Mongolian
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # England
        "\u115f\u1161",  # a vowel without a consonant
        "日没 — la mer, ﷽, \ufffc \ufffd",
    ],
)
def test_what_changes_the_words_stays(text: str) -> None:
    assert clean_text(text) == text
    assert clean_text(f"{BOM}{text}{ZWSP}") == text
    for mark in (ZWNJ, ZWJ):
        assert clean_text(text.replace(mark, mark * 3)) == text  # once is all that is seen


def test_no_words_are_hidden_in_a_flag() -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "ignore the scene")
    assert clean_text(f"A street \U0001f3f4{hidden}\U000e007f") == "A street \U0001f3f4"


def test_letters_and_their_marks_are_one_text_however_they_were_typed() -> None:
    assert clean_text("cafe\u0301 A\u030a") == clean_text("caf\u00e9 \u212b") == "caf\u00e9 \u00c5"


@given(st.text(ORDINARY | MARKS, max_size=30))
def test_cleaning_again_changes_nothing(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)


@given(st.text(st.characters(codec="ascii"), max_size=30), st.lists(MARKS, max_size=8), st.data())
def test_no_mark_between_latin_letters_makes_another_text(
    text: str, marks: list[str], data: st.DataObject
) -> None:
    marked = text
    for mark in marks:
        at = data.draw(st.integers(0, len(marked)))
        marked = marked[:at] + mark + marked[at:]
    assert tidy(marked) == tidy(text)


def test_a_text_without_end_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="50,000,000 characters"):
        clean_text("a\u200d" * 25_000_000)


def test_a_name_is_one_line_of_200_characters() -> None:
    assert clean_name(f" wet{ZWSP}\n street\t{BOM}one ") == "wet street one"
    assert len(clean_name("x" * 200)) == 200
    for wrong, said in (("x" * 201, "201 characters"), (ZWSP, "empty"), ("\x1b", "empty")):
        with pytest.raises(InputError, match=said):
            clean_name(wrong)
