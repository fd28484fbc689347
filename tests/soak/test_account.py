"""The accounting of the soak finds each break, and no other."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.soak.account import Cut, Made, Program, breaks, programs_of

WHOLE = Made("rs_1", "one", "completed", None, "abc", whole=True)
FIRST = Program("t1", "o1", "a", ("0",), ("rs_1",), 10, 20, code=0, made={"rs_1": "abc"})
CUT_OFF = replace(FIRST, order="o0", start=1, last=5, code=None, made={})
HUNG = replace(FIRST, order="o0", start=1, last=5, code=143, made={}, hangs={"rs_1"})
CUTS: tuple[Cut, ...] = (("a", 5.5, 9.0),)


def failed(kind: str) -> Made:
    return replace(WHOLE, status="failed", error_kind=kind, model_sha256=None)


@pytest.mark.parametrize(
    ("run", "programs"),
    [
        (WHOLE, [FIRST]),
        (WHOLE, [CUT_OFF, FIRST]),
        (WHOLE, [HUNG, FIRST]),
        (failed("lost"), [CUT_OFF]),
        (failed("stalled"), [HUNG]),
        (failed("model_failed"), [replace(FIRST, made={}, code=1, failed={"rs_1"})]),
    ],
    ids=["made", "made after a cut", "made after a hang", "lost", "stalled", "failed"],
)
def test_what_may_be_is_no_break(run: Made, programs: list[Program]) -> None:
    assert list(breaks(["one"], [run], programs, CUTS)) == []


@pytest.mark.parametrize(
    ("runs", "programs", "word"),
    [
        ([], [], "there is no run of it"),
        ([WHOLE, replace(WHOLE, id="rs_2")], [FIRST], "has 2 runs"),
        ([WHOLE, replace(WHOLE, id="rs_2", text="two")], [FIRST], "was not ordered"),
        ([WHOLE], [FIRST, replace(FIRST, order="o2", start=30, last=40)], "started again"),
        ([WHOLE], [replace(HUNG, hangs=set()), FIRST], "did not hang"),
        ([WHOLE], [replace(CUT_OFF, host="b", gpus=("1",)), FIRST], "was not cut off"),
        ([WHOLE], [FIRST, replace(FIRST, order="o2", runs=(), start=15)], "was used by o1 and o2"),
        ([WHOLE], [replace(FIRST, gpus=())], "other GPUs than one"),
        ([replace(WHOLE, model_sha256="else")], [FIRST], "is of no program"),
        ([replace(WHOLE, whole=False)], [FIRST], "on the disk is another one"),
        ([replace(WHOLE, status="running")], [FIRST], "is running at the end"),
        ([failed("lost")], [FIRST], "which no host knows of"),
        ([failed("stalled")], [HUNG, FIRST], "and a host has made it"),
        ([WHOLE], [FIRST, replace(FIRST, runs=("rs_9",), gpus=("1",))], "is not in the catalog"),
        ([failed("launch_failed")], [], "no host has started it"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "-",
)
def test_each_break_is_found(runs: list[Made], programs: list[Program], word: str) -> None:
    assert [said for said in breaks(["one"], runs, programs, CUTS) if word in said]


def test_an_account_is_read_without_the_line_that_a_power_cut_has_torn() -> None:
    start = {"event": "start", "token": "t1", "order": "o1", "host": "a", "gpus": ["0"]}
    lines = [
        {**start, "runs": ["rs_1"], "at": 10},
        {"event": "made", "token": "t1", "run": "rs_1", "sha256": "abc", "at": 18},
        {"event": "end", "token": "t1", "code": 0, "at": 20},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    assert programs_of(f'{text}\n{{"event": "be') == [FIRST]
