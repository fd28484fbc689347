"""Whose a video is, why there is none, and whether to go on: the rules by themselves."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from tests.gpu_scripts.model_orders import SCRIPTS

sys.path.append(str(SCRIPTS))

from model_judging import (
    OF_THE_PLACE,
    End,
    Failure,
    Line,
    Load,
    assigned,
    goes_on,
    judged,
    never_reached,
    of_the_end,
)

BLOCKED = Failure("blocked", "a word")
MEMORY = Failure("out_of_memory", "no memory")
KINDS = st.sampled_from(["blocked", "model_failed", "output_missing", *sorted(OF_THE_PLACE)])
FAILURES = st.builds(Failure, KINDS, st.just("why"))
PROMPTS = st.lists(st.sampled_from(["a", "a\n", "ab", "b", "c"]), min_size=1, max_size=6)


@st.composite
def sub_batches(draw: st.DrawFn) -> tuple[list[str], list[int]]:
    """Prompts, and the parts whose videos come out."""
    prompts = draw(PROMPTS)
    survive = draw(st.lists(st.booleans(), min_size=len(prompts), max_size=len(prompts)))
    return prompts, [n for n, alive in enumerate(survive) if alive]


@given(sub_batches())
def test_no_video_is_ever_given_to_a_sample_that_it_is_not_of(
    batch: tuple[list[str], list[int]],
) -> None:
    prompts, survivors = batch
    texts = {place: prompts[part] for place, part in enumerate(survivors)}
    whose = assigned(prompts, texts, complete=True)
    for place, part in whose.videos.items():
        assert part == survivors[place]
    assert not set(whose.videos.values()) & set(whose.failed)
    unclear = set(survivors) - set(whose.videos.values())
    assert unclear <= set(whose.failed)
    assert all(prompts.count(prompts[part]) > 1 for part in unclear)


@given(sub_batches(), st.data())
def test_what_is_told_early_is_not_taken_back(
    batch: tuple[list[str], list[int]], data: st.DataObject
) -> None:
    prompts, survivors = batch
    texts = {place: prompts[part] for place, part in enumerate(survivors)}
    seen = data.draw(st.sets(st.sampled_from(sorted(texts)))) if texts else set()
    early = assigned(prompts, {n: texts[n] for n in seen}, complete=False)
    late = assigned(prompts, texts, complete=True)
    assert not early.failed
    if len(set(prompts)) == len(prompts):
        assert early.videos.items() <= late.videos.items()


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=5), st.sampled_from(["x", "a\n\n"]))
def test_a_foreign_text_is_nobodys(prompts: list[str], text: str) -> None:
    whose = assigned(prompts, {0: text}, complete=True)
    assert not whose.videos
    assert whose.failed[0].kind == "model_failed"
    assert not assigned(prompts, {0: text}, complete=False).failed


@given(PROMPTS)
def test_samples_without_prompts_are_told_apart_only_if_all_are_there(prompts: list[str]) -> None:
    none = [None for _ in prompts]
    texts = dict(enumerate(prompts))
    assert assigned(none, texts, complete=False).videos == {n: n for n in texts}
    if len(prompts) > 1:
        del texts[0]
        assert not assigned(none, texts, complete=False).videos
        assert set(assigned(none, texts, complete=True).failed) == set(range(len(prompts)))


def test_texts_are_shown_from_where_they_part() -> None:
    long = "word " * 100
    said = assigned([f"{long} end"], {0: f"{long} fin"}, complete=True).failed[0].sentence
    assert ' fin", the prompt "' in said
    assert ' end".' in said
    assert len(said) < 200


@st.composite
def loads(draw: st.DrawFn) -> Load:
    parts, size = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    reached = draw(st.sets(st.integers(0, parts - 1)))
    begun = max(draw(st.integers(0, parts - 1)), max(reached, default=0))
    places = st.integers(0, parts - 1)
    lines = draw(st.lists(st.builds(Line, places, FAILURES), max_size=5))
    end = draw(st.builds(End, st.sampled_from([0, 1, -9, -15, 137]), st.just("E: x")))
    return Load(parts, size, reached, begun, draw(st.booleans()), lines, end)


@given(loads())
def test_every_part_that_was_tried_in_vain_has_a_reason_and_no_other(load: Load) -> None:
    failures = judged(load)
    missing = set(range(load.parts)) - set(load.reached)
    assert set(failures) <= missing
    group = load.begun // load.batch_size
    assert {n for n in missing if load.end.code == 0 or n // load.batch_size <= group} == set(
        failures
    )
    said = {line.failure for line in load.lines}
    own = (
        {of_the_end(load.end), Failure("output_missing", failures[min(failures)].sentence)}
        if (failures)
        else set()
    )
    for failure in failures.values():
        assert failure in said or failure in own or failure.kind == "output_missing"


@given(loads(), st.integers(0, 3))
def test_a_load_that_would_meet_the_same_end_is_not_started(load: Load, made: int) -> None:
    failures = judged(load)
    left = load.parts - len(load.reached) - len(failures)
    if goes_on(failures.values(), load.end, made, left):
        kinds = {failure.kind for failure in failures.values()}
        assert left
        assert failures  # so there are fewer parts next time
        assert not kinds & OF_THE_PLACE
        assert made or kinds == {"blocked"}
        assert load.end.code not in (-9, 137, -15)


def load_of(
    parts: int, reached: set[int], *lines: Line, code: int = 1, exact: bool = False
) -> Load:
    places = [part + (not exact) for part in reached] + [line.part for line in lines]
    begun = min(max(places, default=0), parts - 1)
    return Load(parts, 1, reached, begun, exact, lines, End(code, "ValueError: x"))


def test_the_first_part_without_a_video_is_to_blame() -> None:
    assert judged(load_of(4, {0})).keys() == {1}


def test_parts_that_were_passed_over_are_to_blame_as_well() -> None:
    found = judged(load_of(5, {0, 2}, Line(1, BLOCKED)))
    assert found[1] == BLOCKED
    assert found[3].sentence == "The model failed with exit code 1: ValueError: x"
    assert found.keys() == {1, 3}


def test_what_ends_a_load_outweighs_what_was_said_before() -> None:
    assert judged(load_of(2, set(), Line(0, BLOCKED), Line(0, MEMORY))) == {0: MEMORY}


def test_neighbours_share_evenly_what_was_said_of_them() -> None:
    one, two = Failure("blocked", "one"), Failure("blocked", "two")
    lines = [Line(1, f) for f in (one, one, two, two)]
    assert judged(load_of(4, {0, 3}, *lines, code=0)) == {1: one, 2: two}
    assert judged(load_of(4, {0, 3}, *lines[:3], code=0)) == {1: one, 2: one}


def test_what_was_said_late_is_of_the_part_before() -> None:
    """The model has gone on before its line could be read."""
    assert judged(load_of(4, {0, 2, 3}, Line(3, BLOCKED), code=0)) == {1: BLOCKED}


def test_a_model_that_says_what_it_begins_is_taken_at_its_word() -> None:
    found = judged(load_of(4, {0, 3}, Line(1, BLOCKED), code=0, exact=True))
    assert found[1] == BLOCKED
    assert found[2].kind == "output_missing"


def test_those_that_were_never_reached_are_told_what_is_true_of_them() -> None:
    end = End(1)
    full = Failure("disk_full", "full")
    assert never_reached([full], end, 3, "rs_1") == full
    assert never_reached([MEMORY], end, 0, "rs_1") == MEMORY
    late = never_reached([MEMORY], end, 1, "rs_1")
    assert (late.kind, late.sentence) == (
        "lost",
        "Never begun: the model ended at rs_1 (out_of_memory: no memory)",
    )
