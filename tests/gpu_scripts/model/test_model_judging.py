"""Why there is no video, and whether to go on: the rules by themselves."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from tests.gpu_scripts.model.model_orders import SCRIPTS

sys.path.append(str(SCRIPTS / "model"))

from model_judging import (
    OF_THE_PLACE,
    End,
    Failure,
    Line,
    Load,
    goes_on,
    judged,
    never_reached,
    of_the_end,
)

BLOCKED = Failure("blocked", "a word")
MEMORY = Failure("out_of_memory", "no memory")
KINDS = st.sampled_from(["blocked", "model_failed", "output_missing", *sorted(OF_THE_PLACE)])
FAILURES = st.builds(Failure, KINDS, st.just("why"))


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
        "Never started: the model ended at rs_1 (out_of_memory: no memory)",
    )
