"""What the state of a job in Slurm says of its order, without a cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cosmos_pipelines.backends.carriers.slurm.scripts import Scripts


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    """Those of a login node with one job, `7`, whose processes give no sign of life."""
    root = tmp_path / "cosmos"
    (root / "slurm").mkdir(parents=True)
    (root / "runs/rs_1").mkdir(parents=True)
    (root / "slurm/cosmos-rs_1").write_text("cosmos-rs_1.t\np\nrs_1\nrs_1\n7\n")
    return Scripts(str(root), str(tmp_path))


def state(scripts: Scripts, word: str) -> subprocess.CompletedProcess[str]:
    """What the order's state is if Slurm says this word of its job."""
    scontrol = Path(scripts.bin) / "scontrol"
    scontrol.write_text(f"#!/bin/sh\necho JobId=7 JobName=cosmos-rs_1.t JobState={word} x=y\n")
    scontrol.chmod(0o755)
    argv = scripts.state("cosmos-rs_1")
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("PENDING", "queued"),
        ("EXPEDITING", "queued"),
        ("RUNNING", "running"),
        ("COMPLETED", "ended"),
        ("OUT_OF_MEMORY", "ended"),
    ],
)
def test_a_state_that_is_known_says_whether_the_order_lives(
    scripts: Scripts, word: str, found: str
) -> None:
    assert state(scripts, word).stdout == f"{found}\n"


def test_a_state_that_slurm_never_named_before_is_no_end(scripts: Scripts) -> None:
    strange = state(scripts, "HIBERNATING")
    assert strange.returncode == 1
    assert strange.stderr == "Slurm named the state HIBERNATING\n"
    assert not (Path(scripts.root) / "runs/rs_1/slurm_end").exists()
    assert state(scripts, "RUNNING").stdout == "running\n"
