"""Ctrl-C at any moment of a write: it stays Ctrl-C, and the catalog can be written as before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from cosmos_pipelines.catalog import turn
from cosmos_pipelines.catalog.store import Catalog

WATCHED = ("sqlalchemy/engine/base.py", "sqlalchemy/engine/default.py", "cosmos_pipelines/catalog")
BEGINNINGS_AND_ENDS = (
    *("__init__", "__enter__", "__exit__", "begin", "begin_writing", "write", "close", "revision"),
    *("_connection_begin_impl", "_begin_impl", "_commit_impl", "do_execute", "do_commit"),
)


class Interrupt:
    """Raises KeyboardInterrupt before the instruction `number` of the watched functions."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.at = ""

    def __call__(self, frame: FrameType, what: str, _: Any) -> Interrupt:
        """Count the instructions; see `sys.settrace`."""
        code = frame.f_code
        frame.f_trace_opcodes = code.co_name in BEGINNINGS_AND_ENDS and any(
            name in code.co_filename for name in WATCHED
        )
        if what == "opcode":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self.at = f"{code.co_name}, line {frame.f_lineno}"
                raise KeyboardInterrupt
        return self

    @contextmanager
    def strikes(self) -> Iterator[None]:
        """Strike in the body; restores the tracer of a debugger or of a measurement of coverage."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(before)


def write(catalog: Catalog) -> None:
    """Make the shortest write that there is."""
    with catalog.write() as tx:
        tx.stamp()


def test_after_an_interrupt_at_any_instruction_of_a_write_the_same_thread_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "TRY_S", 0.01)
    monkeypatch.setattr(turn, "WAIT_S", 0.02)
    with Catalog.open(f"sqlite:///{tmp_path / 'cosmos.db'}") as catalog:
        write(catalog)
        number = 0
        while True:
            number += 1
            interrupt = Interrupt(number)
            try:
                with interrupt.strikes():
                    write(catalog)
            except BaseException as e:  # noqa: BLE001 - its traceback keeps the transaction
                assert isinstance(e, KeyboardInterrupt), f"{e!r} at {interrupt.at}"
                write(catalog)
            else:
                break
            catalog.close()
    assert number > 100, "the watched functions were not found"
