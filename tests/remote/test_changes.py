"""A wait ends as soon as something in a directory changes, and soon in any case."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_pipelines.remote import changes
from cosmos_pipelines.remote.changes import Changes
from tests.support.waiting import LONG_S


@pytest.mark.parametrize(
    "change",
    [lambda d: (d / "log").open("a").write("x"), lambda d: (d / "new").touch(),
     lambda d: (d / "log").rename(d / "log.1"), lambda d: (d.parent / "x").rename(d / "x")],
    ids=["grown", "made", "renamed", "moved in"],
)  # fmt: skip
def test_a_wait_ends_with_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(changes, "LONGEST_S", 10 * LONG_S)
    directory = tmp_path / "logs"
    directory.mkdir()
    (directory / "log").touch()
    (tmp_path / "x").touch()
    with Changes(directory) as told:
        waiting = threading.Thread(target=told.wait, args=(10 * LONG_S,))
        waiting.start()
        change(directory)
        waiting.join(LONG_S)
        assert not waiting.is_alive()


def test_a_change_before_the_wait_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LONGEST_S", 10 * LONG_S)
    with Changes(tmp_path) as told:
        (tmp_path / "log").touch()
        told.wait(10 * LONG_S)


def test_a_wait_without_a_change_ends_too(tmp_path: Path) -> None:
    with Changes(tmp_path) as told:
        told.wait()
    with Changes(tmp_path / "nothing") as told:
        told.wait()


def test_a_directory_that_appears_later_is_watched_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "later"
    with Changes(directory) as told:
        directory.mkdir()
        told.wait()
        monkeypatch.setattr(changes, "LONGEST_S", 10 * LONG_S)
        (directory / "log").touch()
        told.wait(10 * LONG_S)


def test_where_the_system_watches_no_more_directories_a_wait_is_blind_and_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_FLAGS", -1)  # refused by the kernel, as one too many would be
    with Changes(tmp_path) as told:
        told.wait()


def test_nothing_stays_open(tmp_path: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = opened()
    for directory in (tmp_path, tmp_path / "nothing"):
        for _ in range(200):
            with Changes(directory):
                pass
    assert opened() == before
