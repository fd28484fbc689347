"""What `model_run.py` keeps of each sample, also where a file cannot be written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu_scripts.model.model_orders import (
    SAYS,
    SCRIPTS,
    Done,
    Order,
    argv_of,
    carried_out,
    run_id,
    said,
    start,
)
from tests.support.waiting import LONG_S, until

sys.path.append(str(SCRIPTS / "model"))

from model_files import not_written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_failures_are_on_record_with_what_was_made(folder: Path) -> None:
    done = carried_out(folder, [], ["blocked a"], [])
    why = ("blocked", "The guardrail refused the word a of prompt 0.")
    assert done.failed == done.kept == {1: why}
    assert done.record["failed"] == {run_id(1): list(why)}
    assert sorted(done.finished["outputs"]) == [f"{run_id(n)}.mp4" for n in (0, 2)]
    assert done.log.count(f"FAILED {run_id(1)}: ") == 2
    assert done.log.splitlines()[-1].startswith("FAILED ")


def test_without_a_failure_there_is_none_on_record(folder: Path) -> None:
    done = carried_out(folder, [])
    assert done.record["failed"] == done.finished["failed"] == {}


def test_a_failure_is_kept_as_soon_as_it_is_known(folder: Path) -> None:
    """While another sample is in work: the host may die then."""
    order = Order(folder, [["blocked a"], [], ["hang"]])
    script = start(folder, argv_of(folder, order.place()))
    until(said(folder, r"hangs (\d+)"), "its log")
    until(said(folder, f"{run_id(1)} transfer: done"), "its log")
    finished = Done(folder, -1)
    assert finished.kept.keys() == {0}
    assert finished.finished["outputs"].keys() == {f"{run_id(1)}.mp4"}
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143


def test_all_that_failed_alone_is_kept_too(folder: Path) -> None:
    done = carried_out(folder, ["oom"], [])
    assert done.kept == done.failed
    assert done.kept.keys() == {0, 1}
    assert done.finished["outputs"] == {}


def test_a_video_that_cannot_be_put_in_its_place_fails_its_sample_alone(folder: Path) -> None:
    (folder / "outputs" / f"{run_id(1)}.mp4").mkdir(parents=True)
    done = carried_out(folder, [], [], [])
    assert done.code == 1
    assert done.failed == {1: ("model_failed", "A file cannot be read or written: Is a directory.")}
    assert done.record["samples"].keys() == {run_id(0), run_id(2)}
    assert done.loads == 1
    assert "Traceback" not in done.log


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, "disk_full", "No space left"),
        (errno.EDQUOT, "disk_full", "No space left"),
        (errno.EIO, "model_failed", "Input/output error"),
        (errno.EXDEV, "model_failed", "Invalid cross-device link"),
    ],
)
def test_what_the_system_refuses_is_told_by_its_kind(number: int, kind: str, words: str) -> None:
    failure = not_written(OSError(number, os.strerror(number)))
    assert failure.kind == kind
    assert words in failure.sentence


def test_a_log_without_room_ends_nothing(folder: Path) -> None:
    """Every word that is written to /dev/full fails, as on a full disk."""
    argv = argv_of(folder, Order(folder, [[], ["blocked a"], []]).place())
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=LONG_S
        )
    assert (done.returncode, done.stderr) == (1, "")
    kept = Done(folder, 1)
    assert set(kept.made) == {0, 2}
    assert kept.kept.keys() == {1}


def test_lines_that_say_no_failure_are_not_taken_for_one(folder: Path) -> None:
    request = {"says": SAYS | {"ignores": ["final user prompt:"]}}
    harmless = "say final user prompt: a tale of an OutOfMemoryError"
    kinds = [
        carried_out(folder.with_name(name), does, **more).kinds[0]
        for name, does, more in (
            ("a", [harmless, "lie"], {"request": request}),
            ("b", [harmless, "oom"], {"request": request}),
            ("c", [harmless, "lie"], {}),
        )
    ]
    assert kinds == ["output_missing", "out_of_memory", "out_of_memory"]
