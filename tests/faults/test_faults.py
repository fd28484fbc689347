"""Some cells of the matrix; `make faults` tests all cells."""

from __future__ import annotations

import pytest

from tests.faults.cell import untrue
from tests.faults.faults import FAULTS, STEPS
from tests.rig.fleet import Fleet
from tests.rig.host import Host

CELLS = (
    ("our process killed (-9)", "upload to start"),
    ("our process killed (-9)", "start, answer lost"),
    ("our process killed (-9)", "during download"),
    ("link cut for 5 s", "running"),
    ("power cut, booted again", "running"),
    ("disk full here", "during download"),
    ("container killed by another", "running"),
    ("success, output truncated", "running"),
    ("two orchestrators at once", "start, answer lost"),
    ("stray line before the answers", "start, answer lost"),
    ("login refused", "running"),
    ("docker.sock forbidden for good", "end to collect"),
)


@pytest.mark.parametrize(("name", "step"), CELLS)
def test_after_a_fault_everything_that_is_told_is_true(
    name: str, step: str, fleet: Fleet, gpu1: Host
) -> None:
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    assert step in fault.strikes_at
    assert untrue(fault, step, fleet, gpu1) == []


def test_every_fault_strikes_somewhere_and_says_nothing_of_other_steps() -> None:
    for fault in FAULTS:
        assert fault.strikes_at
        assert fault.strikes_at <= set(STEPS)
        assert set(fault.ends) | set(fault.starts) <= set(STEPS)
