"""How far, how fast, how long."""

from __future__ import annotations

import pytest

from cosmos_pipelines.remote.files.meter import Meter, TransferProgress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_time_left_are_of_what_was_moved_not_of_what_was_there() -> None:
    clock, seen = Clock(), list[TransferProgress]()
    meter = Meter(1000, seen.append, clock)
    meter.skip(500)
    clock.now += 1
    meter.add(100)
    assert seen == [TransferProgress(600, 1000, 100.0)]
    assert seen[0].left_s == 4.0


def test_a_rate_is_that_of_the_last_seconds() -> None:
    clock, seen = Clock(), list[TransferProgress]()
    meter = Meter(1 << 20, seen.append, clock)
    for moved in [1000] * 20 + [10] * 10:
        clock.now += 1
        meter.add(moved)
    assert seen[19].rate == pytest.approx(1000)
    assert seen[-1].rate == pytest.approx(10)


def test_reports_are_few_and_the_last_one_comes() -> None:
    clock, seen = Clock(), list[TransferProgress]()
    meter = Meter(1000, seen.append, clock)
    for _ in range(1000):
        clock.now += 0.001
        meter.add(1)
    assert len(seen) <= 6
    assert seen[-1].done == seen[-1].total == 1000


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (TransferProgress(0, 1 << 20, None), "0.0 of 1.0 MiB"),
        (TransferProgress(1 << 19, 1 << 20, 1 << 18), "0.5 of 1.0 MiB, 0.2 MiB/s, 2 s left"),
        (TransferProgress(0, 1 << 30, 1 << 23), "0.0 of 1024.0 MiB, 8.0 MiB/s, 2 min 08 s left"),
        (
            TransferProgress(0, 1 << 40, 1 << 27),
            "0.0 of 1048576.0 MiB, 128.0 MiB/s, 2 h 16 min left",
        ),
    ],
)
def test_it_is_told_in_words(progress: TransferProgress, text: str) -> None:
    assert str(progress) == text
