"""Lines of a text that comes in pieces."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.lines import LONGEST, Lines, PlainText, plain


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;38;5;200mbold\x1b[m", "red and bold"),
        ("\x1b[2J\x1b[Hcleared\x1bc", "cleared"),
        ("\x1b]0;title\x07text \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "text link"),
        ("\x9b31mred\x9d0;title\x9cend", "redend"),
        ("\x1bP1$r0m\x1b\\after \x1b(B\x1b7\x1b=x", "after x"),
        ("\x1b[6n\x05\x07\x08\x7f\x00bell", "bell"),
        ("a\ttab\nand\r\nends\n", "a\ttab\nand\nends\n"),
        (" 10%\r 20%\r100%\nnext", "100%\nnext"),
        ("50%\r", "50%"),
        ("gnp.\u202eexe", "gnp.exe"),
        ("\x1b]no end of it\nnext", "]no end of it\nnext"),
        ("Straße 雨 \U0001f680", "Straße 雨 \U0001f680"),
    ],
)
def test_a_terminal_gets_only_what_is_to_be_read(text: str, shown: str) -> None:
    assert plain(text) == shown


CODES = st.lists(
    st.sampled_from(
        ["\x1b", "[", "]", "0;", "m", "\x07", "\r", "\n", "\t", "\x9b", "a", "é", "\\"]
    ),
    max_size=30,
)


@given(CODES, st.integers(1, 4))
def test_plain_text_is_the_same_in_whatever_pieces_it_comes(codes: list[str], size: int) -> None:
    text = "".join(codes)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    shown = PlainText()
    whole = "".join(map(shown.add, pieces)) + shown.rest()
    assert whole == plain(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", whole)
    over = PlainText(overwrites=True)
    written = "".join(map(over.add, pieces)) + over.rest()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", written)


def test_a_log_without_line_ends_is_shown_in_bounded_memory() -> None:
    for overwrites in (False, True):
        shown, length = PlainText(overwrites=overwrites), 0
        for _ in range(100):
            length += len(shown.add("\x1b]" + "x" * 10_000))
            assert len(shown._rest) <= 2 * LONGEST
        assert length > 0


def test_a_bar_on_a_terminal_is_shown_as_it_moves() -> None:
    shown = PlainText(overwrites=True)
    assert shown.add(" 10%\r") == " 10%"
    assert shown.add(" 20%\x1b[") == "\r 20%"
    assert shown.add("0m\r\n") == "\n"
