"""Smart names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.naming import smart_name

FORM = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A beautiful sunset over ocean waves", "sunset_ocean_waves"),
        ("Low-lying mist with gradual falloff", "low_lying_mist"),
        ("A foggy street with low-lying mist", "low_lying_mist"),
        ("Golden hour light with long shadows", "golden_hour_light"),
        ("Futuristic city at night with heavy rain", "futuristic_city_night"),
        ("A robot arm picks a red cube from a workbench", "robot_arm_picks"),
        ("A photorealistic, ultra-detailed 4K video of a snowy village", "snowy_village"),
        ("A high-quality render of a state-of-the-art robot", "state_art_robot"),
        ("Driver's view: rain, rain, RAIN!", "driver_rain"),
        ("Café in Malmö, smørrebrød", "cafe_malmo_smorrebrod"),
        ("東京 street in the rain", "street_rain"),
    ],
)
def test_a_name_says_what_the_prompt_is_about(text: str, name: str) -> None:
    assert smart_name(text) == name


@pytest.mark.parametrize("text", ["夜の東京、雨", "🌅🌊", "", "the of and", "!!!", "\ud800"])
def test_text_without_a_usable_word_gets_a_stable_name(text: str) -> None:
    assert re.fullmatch(r"prompt_[0-9a-f]{6}", smart_name(text))
    assert smart_name(text) == smart_name(text)


def test_different_texts_without_words_get_different_names() -> None:
    assert smart_name("夜") != smart_name("朝")


def test_a_taken_name_is_numbered() -> None:
    assert smart_name("snow", ["snow"].__contains__) == "snow_2"
    assert smart_name("snow", ["snow", "snow_2"].__contains__) == "snow_3"
    long = "x" * 60
    assert smart_name(long, [smart_name(long)].__contains__) == "x" * 38 + "_2"


def test_a_free_number_is_found_with_few_questions() -> None:
    taken = {"snow", *(f"snow_{n}" for n in range(2, 100_000))}
    asked: list[str] = []

    def ask(name: str) -> bool:
        asked.append(name)
        return name in taken

    assert smart_name("snow", ask) == "snow_100000"
    assert len(asked) < 40


def test_a_word_that_only_begins_like_a_number_of_a_taken_name_stays() -> None:
    assert smart_name("snow", ["snow_2"].__contains__) == "snow"


@given(st.text(max_size=200))
def test_any_text_gets_a_name_of_the_promised_form(text: str) -> None:
    name = smart_name(text)
    assert FORM.fullmatch(name)
    assert len(name) <= 40
    assert name == smart_name(text)


@given(st.lists(st.sampled_from(["snow", "low-lying", "mist", "a-b-c", "the"]), max_size=6))
def test_a_name_has_three_words_at_most(words: list[str]) -> None:
    name = smart_name(" ".join(words))
    assert len(name.split("_")) <= 3


@given(st.text(max_size=60), st.integers(1, 15))
def test_a_name_is_never_among_the_taken(text: str, times: int) -> None:
    taken: list[str] = []
    for _ in range(times):
        name = smart_name(text, taken.__contains__)
        assert name not in taken
        assert FORM.fullmatch(name)
        assert len(name) <= 40
        taken.append(name)
