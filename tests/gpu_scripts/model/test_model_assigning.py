"""Whose a video is: the rules by themselves, and with a model that ends in its work's midst."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gpu_scripts.model.model_orders import (
    SAYS,
    SCRIPTS,
    Done,
    Order,
    argv_of,
    carried_out,
    said,
    start,
)
from tests.support.waiting import LONG_S, until

sys.path.append(str(SCRIPTS / "model"))

from model_assigning import Assigned, assigned

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


LONGER = ["a cat", "a cat in rain"]


def test_a_text_that_may_still_grow_is_nobodys_until_it_is_settled() -> None:
    nobodys = Assigned({}, {})
    for text in ("", "a c", "a cat", "a cat in ra", "a cat in \ufffd"):
        assert assigned(LONGER, {0: text}, complete=False) == nobodys
        assert assigned(LONGER, {0: text}, complete=True, died=True, refused=True) == nobodys
    assert assigned(LONGER, {0: "a cat"}, complete=False, settled=[0]).videos == {0: 0}
    assert assigned(LONGER, {0: "a cat"}, complete=True).videos == {0: 0}
    assert assigned(LONGER[::-1], {0: "a cat in rain"}, complete=False).videos == {0: 0}
    assert assigned(LONGER, {0: "a cat", 1: "a cat"}, complete=False, settled=[0]).videos == {0: 0}
    assert assigned(["a", "b"], {0: "a"}, complete=False).videos == {0: 0}


def test_a_model_that_died_leaves_what_is_there_at_its_own_place() -> None:
    twins = ["twin", "twin", "other"]
    assert assigned(twins, {0: "twin"}, True, died=True) == Assigned({0: 0}, {})
    assert assigned(LONGER, {0: "a cat"}, True, died=True) == Assigned({0: 0}, {})
    assert assigned([None, None], {0: ""}, True, died=True) == Assigned({0: 0}, {})
    half = assigned(LONGER[::-1], {0: "a cat"}, True, died=True)
    assert half == Assigned({}, {})  # of the first one, most likely


@pytest.mark.parametrize("how", [{}, {"died": True, "refused": True}])
def test_where_one_may_have_been_dropped_twins_cannot_be_told_apart(how: dict[str, bool]) -> None:
    whose = assigned(["twin", "twin", "other"], {0: "twin"}, True, **how)
    assert not whose.videos
    assert whose.failed.keys() == {0, 1}
    assert "cannot be assigned" in whose.failed[0].sentence


def test_a_survivor_that_moved_up_shows_that_one_was_dropped() -> None:
    whose = assigned(["b", "twin", "twin"], {0: "twin"}, True, died=True)
    assert not whose.videos
    assert whose.failed.keys() == {1, 2}


@given(PROMPTS, st.data())
def test_what_a_model_that_died_has_written_is_all_kept(
    prompts: list[str], data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(prompts)))
    texts = dict(enumerate(prompts[:count]))
    whose = assigned(prompts, texts, complete=True, died=True)
    assert whose == Assigned({n: n for n in texts}, {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def in_batches_of(size: int, *options: str, **request: Any) -> dict[str, Any]:
    words = ["--batch-size", str(size), *options]
    return {"options": words, "request": {"batch_size": size, **request}}


@pytest.mark.parametrize(
    ("code", "kind"), [(1, "model_failed"), (137, "out_of_memory"), (143, "lost")]
)
def test_twins_of_which_one_was_made_before_the_end_are_told_apart(
    folder: Path, code: int, kind: str
) -> None:
    prompts = ["twin", "twin", "other", "last"]
    does = [[], [f"gone {code}"], [], []]
    done = carried_out(folder, *does, prompts=prompts, **in_batches_of(2))
    assert done.failed[1][0] == kind
    assert "cannot be assigned" not in done.log
    assert done.made.items() >= {(0, "video of twin")}
    assert set(done.made) == ({0, 2, 3} if kind == "model_failed" else {0})


BEGINS = {"says": SAYS | {"begins": ["begins with (?P<name>rs_\\w+)"]}}


@pytest.mark.parametrize("request_", [{}, BEGINS])
def test_one_that_was_refused_among_those_before_makes_none_uncertain(
    folder: Path, request_: dict[str, Any]
) -> None:
    prompts = ["first", "second", "twin", "twin"]
    does = [["blocked a"], [], [], ["gone 1"]]
    done = carried_out(folder, *does, prompts=prompts, **in_batches_of(2, **request_))
    assert set(done.made) == {1, 2}
    assert done.kinds == {0: "blocked", 3: "model_failed"}
    assert "exit code 1" in done.failed[3][1]


def test_a_refusal_while_it_seemed_to_be_at_those_before_makes_twins_uncertain(
    folder: Path,
) -> None:
    """The first two leave nothing that would say that they are over."""
    prompts = ["first", "second", "twin", "twin", "third"]
    does = [["blocked a"], ["blocked b"], ["video_blocked"], [], ["gone 1"]]
    order = in_batches_of(2, "--skip")
    done = carried_out(folder, *does, prompts=prompts, **order)
    assert done.made == {}
    assert {n: done.kinds[n] for n in (0, 1, 2, 3)} == {
        0: "blocked",
        1: "blocked",
        2: "model_failed",
        3: "model_failed",
    }


def test_a_refusal_and_an_early_end_leave_twins_uncertain(folder: Path) -> None:
    prompts = ["twin", "twin", "other"]
    does = [["video_blocked"], [], ["gone 1"]]
    done = carried_out(folder, *does, prompts=prompts, **in_batches_of(3))
    assert done.made == {}
    assert "cannot be assigned" in done.failed[0][1]
    assert done.failed[0] == done.failed[1]


def test_half_a_text_at_the_end_is_not_anothers_whole_prompt(folder: Path) -> None:
    does = [["half a cat"], []]
    done = carried_out(folder, *does, prompts=LONGER[::-1], **in_batches_of(2))
    assert done.made == {}
    assert done.kinds == {0: "model_failed", 1: "model_failed"}
    assert "exit code 1" in done.failed[0][1]


def test_half_a_text_in_work_is_not_anothers_whole_prompt(folder: Path) -> None:
    order = Order(folder, [["hang"], []], prompts=LONGER, **in_batches_of(2))
    script = start(folder, argv_of(folder, order.place()))
    until(said(folder, r"hangs (\d+)"), "its log")
    place = folder / "made" / "video_0"
    (place / "output.mp4").write_text("video of a cat in rain")
    (place / "prompt.txt").write_text("a cat")
    with pytest.raises(TimeoutError):
        until(said(folder, "done in|FAILED"), "its log", 0.6)
    (place / "prompt.txt").write_text("a cat in rain")
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143
    assert Done(folder, 143).made == {1: "video of a cat in rain"}
