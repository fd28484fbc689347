"""Some cells of the matrix; `make faults` tests all cells."""

from __future__ import annotations

import pytest

from tests.faults.cell import Rig, untrue
from tests.faults.faults import BACKENDS, FAULTS, STEPS, Fault
from tests.rig.fleet import Fleet
from tests.rig.slurm import Cluster

ON_A_HOST = (
    ("our process killed (-9)", "upload to start"),
    ("our process killed (-9)", "start, answer lost"),
    ("our process killed (-9)", "during download"),
    ("link cut for 5 s", "running"),
    ("power of the host or node cut", "running"),
    ("disk full here", "during download"),
    ("container, job, process ended by others", "running"),
    ("success, output truncated", "running"),
    ("two orchestrators at once", "start, answer lost"),
    ("stray line before the answers", "start, answer lost"),
    ("login refused", "running"),
    ("disk of all runs away for 5 s", "end to collect"),
    ("disk of all runs away for 5 s", "during download"),
    ("docker.sock forbidden for good", "end to collect"),
)
ON_A_CLUSTER = (
    ("our process killed (-9)", "during upload"),
    ("reset in a long transfer", "during download"),
)
HERE = (
    ("our process killed (-9)", "during upload"),
    ("disk full here", "upload to start"),
    ("disk full here", "during download"),
)


def _fault(name: str, step: str, backend: str) -> Fault:
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    there = fault.on(backend)
    assert isinstance(there, Fault)
    assert step in there.strikes_at
    return there


@pytest.mark.usefixtures("gpu1")
@pytest.mark.parametrize(("name", "step"), ON_A_HOST)
def test_after_a_fault_everything_that_is_told_is_true(name: str, step: str, fleet: Fleet) -> None:
    assert untrue(_fault(name, step, "ssh_docker"), step, "ssh_docker", Rig(fleet=fleet)) == []


@pytest.mark.parametrize(("name", "step"), ON_A_CLUSTER)
def test_after_a_fault_on_a_cluster_everything_that_is_told_is_true(
    name: str, step: str, cluster: Cluster
) -> None:
    assert untrue(_fault(name, step, "slurm"), step, "slurm", Rig(cluster=cluster)) == []


@pytest.mark.parametrize(("name", "step"), HERE)
def test_after_a_fault_on_this_machine_everything_that_is_told_is_true(
    name: str, step: str
) -> None:
    assert untrue(_fault(name, step, "local"), step, "local", Rig()) == []


def test_every_fault_strikes_somewhere_and_says_nothing_of_other_steps() -> None:
    for fault in FAULTS:
        there = [on for backend in BACKENDS if isinstance(on := fault.on(backend), Fault)]
        assert there, fault.name
        for one in there:
            assert one.strikes_at
            assert one.strikes_at <= set(STEPS)
            assert set(one.ends) | set(one.starts) <= set(STEPS)
