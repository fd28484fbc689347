from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.media.numbering import Numbered, missing, sequences, step_of, stretches_text


def only(names: Sequence[str]) -> Numbered:
    [found] = sequences(names)
    return found


def named(pattern: str, numbers: Sequence[int]) -> list[str]:
    return [pattern % n for n in numbers]


@pytest.mark.parametrize(
    ("pattern", "numbers"),
    [
        ("color.%05d.png", range(-20, -12)),
        ("color.%05d.png", range(-3, 5)),
        ("color.%d.png", range(-12, 12)),
        ("color_%05d.png", range(-3, 5)),
        ("color %05d.png", range(-3, 5)),
        ("color--%04d.png", range(8)),
        ("color-%05d.png", range(-3, 5)),
        ("%05d.png", range(-3, 5)),
        ("shot-010_color.%05d.png", range(-3, 5)),
        ("shot010_color_%04d_v002.png", range(1, 9)),
        ("shot010_color_%05d_v002.png", range(-4, 4)),
        ("shot010_v002.%04d.color.png", range(8)),
        ("2026-11-29_color_%03d.png", range(8, 13)),
        ("v%03d_color_010.png", range(1, 9)),
    ],
)
def test_the_number_is_the_group_of_digits_that_varies_and_has_a_sign(
    pattern: str, numbers: Sequence[int]
) -> None:
    found = only(named(pattern, numbers))
    assert found.numbers == tuple(numbers)
    assert found.names == tuple(named(pattern, numbers))
    before = pattern[: pattern.index("%")]
    assert found.label.startswith((f"{before}####", f"{before[:-1]}####"))


@pytest.mark.parametrize("pattern", ["color-%04d.png", "shot_3-%d.png", "color1-%04d.png"])
def test_a_hyphen_after_a_letter_or_a_digit_is_no_sign(pattern: str) -> None:
    assert only(named(pattern, [1, 2, 3])).numbers == (1, 2, 3)


def test_more_digits_than_those_of_nanoseconds_are_no_frame_number() -> None:
    times = [1796028297521161005 + n * 40_000_000 for n in range(3)]
    assert only([f"color.{n}.png" for n in times]).numbers == tuple(times)
    hashes = [f"color_{10**29 + n}.png" for n in range(3)]
    assert [(one.names, one.numbers) for one in sequences(hashes)] == [((h,), ()) for h in hashes]
    found = only([f"color_{10**29}.{n}.png" for n in range(3)])
    assert found.label == f"color_{10**29}.####.png"


def test_a_range_over_zero_is_one_sequence_also_where_the_number_follows_a_letter() -> None:
    names = ["color-0002.png", "color-0001.png", "color0000.png", "color0001.png"]
    found = only(names)
    assert (found.numbers, found.names) == ((-2, -1, 0, 1), tuple(names))
    assert found.label == "color####.png"


def test_two_sequences_whose_names_differ_in_a_hyphen_alone_stay_two() -> None:
    names = [*named("color-%04d.png", [1, 2]), *named("color%04d.png", [1, 2])]
    assert [s.label for s in sequences(names)] == ["color####.png", "color-####.png"]


def test_versions_shots_and_cameras_are_sequences_of_their_own() -> None:
    names = [
        f"sh{s:03d}_color_{n:04d}_v{v}.png" for s in (10, 20) for n in range(5) for v in (1, 2)
    ]
    assert [(s.label, s.numbers) for s in sequences(names)] == [
        (f"sh{s:03d}_color_####_v{v}.png", tuple(range(5))) for s in (10, 20) for v in (1, 2)
    ]


def test_a_time_beside_the_frame_number_changes_with_it() -> None:
    names = [f"rgb_{n:04d}_{1_700_000_000 + 33 * n + n % 3}.png" for n in range(8, 14)]
    assert (only(names).numbers, only(names).label) == ((8, 9, 10, 11, 12, 13), "rgb_####_*.png")
    names = [f"{1_700_000_000 + 33 * n + n % 3}_{n:04d}.png" for n in range(8, 14)]
    assert (only(names).numbers, only(names).label) == ((8, 9, 10, 11, 12, 13), "*_####.png")


@pytest.mark.parametrize(
    ("name", "label", "numbers"),
    [
        ("color.0001.png", "color.####.png", (1,)),
        ("frame_0001_depth.png", "frame_####_depth.png", (1,)),
        ("shot010_color_0007_v002.png", "shot010_color_####_v002.png", (7,)),
        ("color_v002.png", "color_v####.png", (2,)),
        ("color.png", "color.png", ()),
    ],
)
def test_a_file_alone_has_its_number_where_it_usually_stands(
    name: str, label: str, numbers: tuple[int, ...]
) -> None:
    assert (only([name]).label, only([name]).numbers) == (label, numbers)


words = st.text(st.sampled_from("abXz._- é"), min_size=1, max_size=8).filter(
    lambda s: not s.endswith("-")
)


@given(
    words,
    st.sampled_from(["", "_v002", ".beauty", "_12_left"]),
    st.integers(-300, 300),
    st.integers(2, 20),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_any_range_comes_back_in_order_whatever_stands_around_it(
    before: str, after: str, first: int, count: int, padding: int, random: object
) -> None:
    numbers = [first + i for i in range(count)]
    names = [f"{before}.{n:0{padding + (n < 0)}d}{after}.png" for n in numbers]
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = only(shuffled)
    assert (found.numbers, found.names) == (tuple(numbers), tuple(names))


file_names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=30).filter(
    lambda name: name not in (".", "..")
)


@given(
    st.lists(
        file_names | st.from_regex(r"[av.-]?-?[0-2]{1,2}[_-]?[0-2]?"), max_size=30, unique=True
    )
)
def test_every_name_lands_in_exactly_one_sequence(names: list[str]) -> None:
    found = sequences(names)
    assert sorted(itertools.chain(*(s.names for s in found))) == sorted(names)
    for s in found:
        assert list(s.numbers) == sorted(s.numbers)
        assert len(s.numbers) in (0, len(s.names))


@given(st.sets(st.integers(-50, 50), min_size=1), st.integers(1, 4))
def test_what_is_missing_fills_the_sequence_and_nothing_else(numbers: set[int], step: int) -> None:
    scaled = sorted(n * step for n in numbers)
    lost = [n for a, b in missing(scaled, step) for n in range(a, b + 1, step)]
    assert sorted([*scaled, *lost]) == list(range(scaled[0], scaled[-1] + 1, step))


def test_missing_numbers_are_told_in_stretches() -> None:
    assert stretches_text(missing([1, 2, 5, 7])) == "3-4, 6"
    assert stretches_text(missing([-3, 1])) == "-2 to 0"
    assert stretches_text(missing([1, 3, 9, 13], 2), 2) == "5-7 by 2, 11"
    assert stretches_text(missing(range(0, 40, 2))).endswith("and 11 more")


def test_the_step_of_a_sequence_is_known_where_it_has_one() -> None:
    assert step_of([1001, 1003, 1005]) == 2
    assert step_of([-4, -1, 2]) == 3
    assert step_of([1, 2, 3]) == 1
    assert step_of([7]) == 1
    assert step_of([1, 3, 4]) is None
