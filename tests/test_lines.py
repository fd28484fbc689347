"""Lines of a text that comes in pieces."""

from __future__ import annotations

import re
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.lines import LONGEST, Lines


def cut(pieces: list[str]) -> list[str]:
    lines = Lines()
    found = [line for piece in pieces for line in lines.add(piece)]
    return [*found, lines.rest()]


@given(st.lists(st.text("ab\r\n", max_size=6), max_size=12))
def test_lines_are_the_same_in_whatever_pieces_they_come(pieces: list[str]) -> None:
    assert cut(pieces) == re.split(r"\r\n|\r|\n", "".join(pieces))


def test_each_turn_of_a_progress_bar_is_a_line_as_soon_as_it_ends() -> None:
    lines = Lines()
    assert lines.add("10%\r20") == ["10%"]
    assert lines.add("%\r\n") == ["20%"]
    assert lines.add("\n") == [""]
    assert lines.rest() == ""


def test_a_line_without_an_end_comes_in_parts_and_fills_no_memory() -> None:
    lines, found = Lines(), 0
    tracemalloc.start()
    for _ in range(20_000):
        for part in lines.add("x" * 1000):
            assert len(part) == LONGEST
            found += len(part)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found + len(lines.rest()) == 20_000_000
    assert most < 1 << 20
    assert [len(part) for part in Lines().add("x" * (2 * LONGEST + 1) + "\n")] == [LONGEST] * 2 + [
        1
    ]
