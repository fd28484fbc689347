"""Scripts and options of jobs, without a cluster."""

from __future__ import annotations

import itertools
import shlex
import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest

from cosmos_pipelines.backends.carriers.base import OrderPaths
from cosmos_pipelines.backends.carriers.slurm.job import (
    NOT_SHARED,
    NOT_WANTED,
    options_of,
    script_of,
)
from cosmos_pipelines.operations.base import Directory, Order
from cosmos_pipelines.settings import Docker
from cosmos_pipelines.settings_hosts import Slurm

Images = Literal["pyxis", "apptainer", "docker", "none"]
ORDER = Order(
    id="rs_1",
    run_ids=("rs_1",),
    engine="none",
    model_type="transfer",
    argv=("{python}", "{scripts}/model.py", "{code}", "it's $HOME"),
    env={"NOTE": 'a "b" $c', "RUN": "{run}"},
    inputs={},
    expected=(),
    gpus=2,
    directories=(Directory(name="code", source="code/x", target="/opt/code"),),
)
PLACES = OrderPaths("/shared/my runs", "/shared/my runs/scripts/ab", "1000:1000", "p1")


def script(images: Images, places: OrderPaths = PLACES, **changed: Any) -> str:
    docker = Docker(python="/opt/python", mounts=("/data:/data:ro",))
    slurm = Slurm(images=images, **changed)
    return script_of(ORDER, slurm, docker, "/images/cosmos.img", places, token="t1", beat_s=5)


def program(text: str, word: str) -> list[str]:
    """The words of the line that starts the program, in which `word` is."""
    line = next(line for line in text.splitlines() if word in line and line.endswith(" &"))
    return shlex.split(line.removesuffix(" &"))


def test_options_name_what_the_settings_say() -> None:
    slurm = Slurm(
        partition="gpu", account="vfx", qos="high", constraint="h100", gpu_type="h100",
        memory="120G", cpus=16, options=("--nice=100",),
    )  # fmt: skip
    assert options_of(ORDER, slurm, 3601) == [
        *("--no-requeue", "--nodes=1", "--ntasks=1", "--chdir=/"),
        *("--output=/dev/null", "--error=/dev/null", "--gres=gpu:h100:2", "--time=61"),
        *("--partition=gpu", "--account=vfx", "--qos=high", "--constraint=h100"),
        *("--mem=120G", "--cpus-per-task=16", "--nice=100"),
    ]


def test_an_order_without_gpu_asks_for_none() -> None:
    order = ORDER.model_copy(update={"gpus": 0})
    assert not [word for word in options_of(order, Slurm(), 60) if "gres" in word]


@pytest.mark.parametrize("images", ["pyxis", "apptainer", "docker", "none"])
def test_every_script_is_one_for_the_shell(images: Images) -> None:
    subprocess.run(["sh", "-n"], input=script(images), text=True, check=True)


def test_pyxis_mounts_what_the_container_of_docker_would() -> None:
    words = program(script("pyxis", cpus=8), "srun")
    assert words[:6] == [
        *("srun", "--export=ALL", "--ntasks=1", "--kill-on-bad-exit=0", "--cpus-per-task=8"),
        "--container-image=/images/cosmos.img",
    ]
    assert words[6] == (
        "--container-mounts=/shared/my runs/runs/rs_1:/cosmos/run,"
        "/shared/my runs/scripts/ab:/cosmos/scripts:ro,"
        "/shared/my runs/code/x:/opt/code,/data:/data:ro"
    )
    assert words[words.index("/bin/sh") :] == [
        *("/bin/sh", "/cosmos/scripts/run.sh", "/cosmos/run", "--"),
        *("/opt/python", "/cosmos/scripts/model.py", "/opt/code", "it's $HOME"),
    ]
    assert 'NOTE=a "b" $c' in words
    assert "RUN=/cosmos/run" in words


def test_apptainer_gets_the_gpus_of_the_job_and_a_large_tmp() -> None:
    words = program(script("apptainer"), "apptainer")
    assert words[:7] == [
        *("apptainer", "exec", "--nv", "--containall", "--writable-tmpfs"),
        *("--pwd", "/cosmos/run"),
    ]
    assert ("--bind", "$tmp:/tmp") in list(itertools.pairwise(words))
    assert "CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES" in words


def test_docker_gets_the_gpus_of_the_job_by_their_own_numbers() -> None:
    text = script("docker")
    assert '--gpus "\\"device=${SLURM_JOB_GPUS:-$CUDA_VISIBLE_DEVICES}\\""' in text
    assert "--detach" not in text
    assert "docker kill cosmos-rs_1" in text


def test_without_image_the_program_sees_the_paths_of_the_node() -> None:
    words = program(script("none", before=("module load python",)), "run.sh")
    root = "/shared/my runs"
    assert words[-4:] == [
        "/opt/python",
        f"{root}/scripts/ab/model.py",
        f"{root}/code/x",
        "it's $HOME",
    ]
    assert script("none", before=("module load python",)).startswith("#!/bin/bash -l\n")


def job(tmp_path: Path, record: str | None) -> subprocess.CompletedProcess[str]:
    """Execute a job's script, with this text as the record of the order's job."""
    places = OrderPaths(str(tmp_path), str(tmp_path / "scripts"), "0:0", "p1")
    if record is not None:
        (tmp_path / "slurm" / "cosmos-rs_1").write_text(record)
    text = script("none", places)
    return subprocess.run(["sh"], input=text, capture_output=True, text=True, check=False)


def test_a_node_that_does_not_share_the_folder_is_told_by_the_exit_code(tmp_path: Path) -> None:
    assert job(tmp_path, None).returncode == NOT_SHARED


@pytest.mark.parametrize(
    "record", ["", "cosmos-rs_1.other\n", None], ids=["empty", "other", "none"]
)
def test_a_job_that_nobody_wants_any_more_starts_nothing(
    tmp_path: Path, record: str | None
) -> None:
    (tmp_path / "slurm").mkdir()
    run = tmp_path / "runs/rs_1"
    run.mkdir(parents=True)
    assert job(tmp_path, record).returncode == NOT_WANTED
    assert list(run.iterdir()) == []


def test_a_job_that_is_started_a_second_time_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "slurm").mkdir()
    run = tmp_path / "runs/rs_1"
    run.mkdir(parents=True)
    (run / "pid").touch()
    assert job(tmp_path, "cosmos-rs_1.t1\n").returncode == NOT_WANTED
    assert [file.name for file in run.iterdir()] == ["pid"]
