"""The log of a run is read from its end and followed as it grows; the catalog is hardly asked."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import InputError, StateError
from cosmos_pipelines.operate import logs
from cosmos_pipelines.operate.logs import CHUNK, log_lines, log_text
from cosmos_pipelines.runs.log import log_file, set_aside
from tests.support.counting import counting
from tests.support.dagster_project import add_run
from tests.support.processes import gone_owner
from tests.support.project import Project
from tests.support.waiting import LONG_S


class Followed:
    """A run that this process executes, and what somebody who follows its log was told."""

    def __init__(self, project: Project, tail: int | None = None, begins: bytes = b"") -> None:
        self.project = project
        run = project.catalog.claim(add_run(project).id, owner_name())
        assert run is not None
        self.run: Run = run
        self.file = log_file(project.settings.outputs, run.id)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if begins:
            self.file.write_bytes(begins)
        self.text = ""
        self._pieces = log_text(project.catalog, project.settings, run.id, follow=True, tail=tail)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for piece in self._pieces:
            self.text += piece

    def write(self, text: bytes) -> None:
        with self.file.open("ab") as file:
            file.write(text)

    def end(self) -> str:
        """End the run, and return all that was told."""
        self.project.catalog.advance(
            self.run.id, owner_name(), "uploading", "failed", error_kind="model_failed"
        )
        self._thread.join(LONG_S)
        assert not self._thread.is_alive()
        return self.text


def until(check: Callable[[], object]) -> None:
    end = time.monotonic() + LONG_S
    while not check():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_following_asks_the_catalog_once_a_second_however_much_is_written(
    staged: Project,
) -> None:
    with counting(staged.settings) as counts:
        followed = Followed(staged)
        begun, before = time.monotonic(), counts["statement"]
        for n in range(300):
            followed.write(f"line {n}\n".encode())
            until(lambda: followed.text.endswith(f"line {n}\n"))  # noqa: B023
        until(lambda: time.monotonic() - begun > 2)
        asked, took = counts["statement"] - before, time.monotonic() - begun
        assert asked <= 2 * (took / logs.ASK_S + 1)  # once at the start; BEGIN counts too
        assert followed.end() == "".join(f"line {n}\n" for n in range(300))


def test_a_progress_bar_is_told_as_it_turns(staged: Project) -> None:
    followed = Followed(staged)
    for turn in (b"\r 10%", b"\r 20%", b"\r 30%"):
        followed.write(turn)
        until(lambda: followed.text.endswith(turn.decode()))  # noqa: B023
    assert followed.end() == "\r 10%\r 20%\r 30%"


def test_a_character_that_comes_in_two_halves_is_whole(staged: Project) -> None:
    followed = Followed(staged)
    followed.write("Straß".encode()[:-1])
    until(lambda: followed.text == "Stra")
    followed.write("ße".encode()[1:])
    assert followed.end() == "Straße"


def test_what_is_written_last_is_told_before_the_end(staged: Project) -> None:
    followed = Followed(staged)
    followed.write(b"first\n")
    until(lambda: followed.text)
    followed.write(b"last\n" * 100_000)
    assert followed.end() == "first\n" + "last\n" * 100_000


def test_the_log_of_the_next_attempt_is_followed_from_its_beginning(staged: Project) -> None:
    followed = Followed(staged, tail=1, begins=b"one\ntwo\nthree\n")
    until(lambda: followed.text == "three\n")
    set_aside(staged.settings.outputs, followed.run.id, 1)
    time.sleep(0.05)
    followed.write(b"again\nand again\n")
    until(lambda: followed.text == "three\nagain\nand again\n")
    followed.end()


def test_following_waits_for_a_log_that_is_not_there_yet(staged: Project) -> None:
    run = staged.catalog.claim(add_run(staged).id, owner_name())
    assert run is not None
    pieces = log_text(staged.catalog, staged.settings, run.id, follow=True, tail=5)
    file = log_file(staged.settings.outputs, run.id)
    assert not file.parent.exists()

    def begin() -> None:
        time.sleep(0.2)
        file.parent.mkdir(parents=True)
        file.write_bytes(b"begun\n")

    thread = threading.Thread(target=begin)
    thread.start()
    assert next(pieces) == "begun\n"
    pieces.close()
    thread.join()


def test_following_a_run_whose_process_is_gone_ends_with_what_there_is(staged: Project) -> None:
    run = staged.catalog.claim(add_run(staged).id, gone_owner())
    assert run is not None
    file = log_file(staged.settings.outputs, run.id)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"one\ntwo")
    lines = log_lines(staged.catalog, staged.settings, run.id, follow=True)
    assert next(lines) == "one"
    with pytest.raises(StateError, match="is gone"):
        next(lines)


@pytest.fixture
def written(staged: Project) -> Iterator[tuple[Callable[[int | None], str], Path]]:
    """A function that reads the last lines of a log, and the log."""
    run = add_run(staged)
    file = log_file(staged.settings.outputs, run.id)
    file.parent.mkdir(parents=True)

    def last(tail: int | None) -> str:
        return "".join(log_text(staged.catalog, staged.settings, run.id, tail=tail))

    yield last, file


LOGS = {
    "lines": b"one\ntwo\nthree\n",
    "no end": b"one\ntwo\nthree",
    "blank lines": b"\n\none\n\n\n",
    "one line": b"one",
    "a progress bar": b"one\ntwo\n" + b"\r 10%" * 100_000 + b"\ndone\n",
    "an end at a block": b"x" * 9 + b"\n" + b"y" * (CHUNK - 1) + b"\n" + b"z" * (CHUNK - 1) + b"\n",
    "long": b"".join(b"line %d\n" % n for n in range(100_000)),
}


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("tail", [0, 1, 2, 3, 4, 1000, None])
def test_the_last_lines_are_those_of_tail(
    written: tuple[Callable[[int | None], str], Path], name: str, tail: int | None
) -> None:
    last, file = written
    file.write_bytes(LOGS[name])
    lines = LOGS[name].splitlines(keepends=True) if b"\r" not in LOGS[name] else [
        line + b"\n" for line in LOGS[name].split(b"\n")[:-1]
    ]  # fmt: skip
    wanted = lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]
    assert last(tail) == b"".join(wanted).decode()


def test_the_last_lines_of_a_large_log_are_read_from_its_end(
    written: tuple[Callable[[int | None], str], Path],
) -> None:
    last, file = written
    with file.open("wb") as log:
        log.truncate(1 << 40)  # a terabyte of nothing
        log.seek(0, 2)
        log.write(b"\n" + b"".join(b"line %d\n" % n for n in range(10)))
    assert last(3) == "line 7\nline 8\nline 9\n"


def test_a_log_is_read_in_memory_of_a_bounded_size(staged: Project) -> None:
    run = add_run(staged)
    file = log_file(staged.settings.outputs, run.id)
    file.parent.mkdir(parents=True)
    file.write_bytes((b"\r 10%" * 20 + b"x" * 100) * 100_000)  # 20 MB without one line's end
    tracemalloc.start()
    text = sum(map(len, log_text(staged.catalog, staged.settings, run.id)))
    lines = sum(1 for _ in log_lines(staged.catalog, staged.settings, run.id))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (text, lines) == (20_000_000, 2_000_001)
    assert most < 8 << 20


def test_a_number_of_lines_below_zero_is_refused(staged: Project) -> None:
    run = add_run(staged)
    with pytest.raises(InputError, match="tail"):
        log_text(staged.catalog, staged.settings, run.id, tail=-1)
