"""Lines for developers stay out of a run's log; every other byte is the model's own."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gpu_scripts.model.model_orders import SCRIPTS

sys.path.append(str(SCRIPTS / "model"))

from model_log import WithoutDebug

HEAD = b"[11-22 09:08:07|%sDEBUG|cosmos_transfer2/a.py:1:f] "
LINES = [
    (b"[11-22 09:08:07|INFO|a.py:1:f] Generating chunk 1/2\n", True),
    (HEAD % b"" + b"Flash Attention v3 (flash3) is not supported\n", False),
    (HEAD % b"job=|" + b"mimsave_kwargs: {}\n", False),
    (HEAD % b"" + b"Frames data: {\n", False),
    (b'    "is_safe": false,\n', False),
    (b"}\n", False),
    (b"Traceback (most recent call last):\n", True),
    (b"    raise ValueError\n", True),
    (b"\n", True),
    (b"[not a head\n", True),
    (b"\rGenerating samples:  23%|##3  | 8/35", True),
]
WHOLE = b"".join(line for line, _ in LINES)
KEPT = b"".join(line for line, kept in LINES if kept)


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=40))
def test_however_the_bytes_arrive_the_same_lines_are_left_out(cuts: list[int]) -> None:
    quiet, at = WithoutDebug(), [0, *sorted(cuts), len(WHOLE)]
    parts = [quiet.cut(WHOLE[a:b]) for a, b in pairwise(at)]
    assert b"".join(parts) + quiet.rest() == KEPT


@pytest.mark.parametrize("data", [b"a bar\r", b"word", b"  2%|", b"\xff\xfe"])
def test_bytes_that_begin_no_such_line_are_passed_on_at_once(data: bytes) -> None:
    assert WithoutDebug().cut(data) == data
