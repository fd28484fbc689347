"""Which GPUs a host gives: the real program, in dash and busybox, with a played nvidia-smi."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_pipelines.backends.carriers.gpu_choice import choose_argv, refusal
from cosmos_pipelines.errors import BackendError, GpusBusy

FOUR = "".join(f"{i}, GPU-{i}{i}{i}\n" for i in range(4))
SMI = """#!/bin/sh
case $* in
*--query-gpu=index,uuid*) cat "$PLAYED/gpus" ;;
*--query-compute-apps=gpu_uuid,pid,used_gpu_memory*) cat "$PLAYED/apps" ;;
esac
"""

Choose = Callable[..., tuple[int, str]]


@pytest.fixture(params=[("dash",), ("busybox", "sh")], ids=["dash", "busybox"])
def choose(request: pytest.FixtureRequest, tmp_path: Path) -> Choose:
    """Run the program with these GPUs, compute processes and holders."""
    (tmp_path / "bin").mkdir()
    smi = tmp_path / "bin" / "nvidia-smi"

    def run(
        wanted: int, only: str | None = None, *, gpus: str | None = FOUR, apps: str = "",
        held: str = "", holders: tuple[str, ...] = (),
    ) -> tuple[int, str]:  # fmt: skip
        smi.unlink(missing_ok=True)
        if gpus is not None:
            smi.write_text(SMI)
            smi.chmod(0o755)
            (tmp_path / "gpus").write_text(gpus)
            (tmp_path / "apps").write_text(apps)
        argv = choose_argv(wanted, only, "cosmos-own", holders or ("printf", "%s", held))
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            [*request.param, *argv[1:]], env={"PATH": path, "PLAYED": str(tmp_path)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    return run


def test_the_first_free_gpus_are_chosen(choose: Choose) -> None:
    assert choose(1) == (0, "0\n")
    assert choose(2, held="/cosmos-a, 0:0/2;\n") == (0, "1,3\n")
    assert choose(1, "GPU-333, 1") == (0, "3\n")
    assert choose(1, "all", held="/cosmos-a, 0:GPU-000;\n/cosmos-b, 0:1;\n") == (0, "2\n")
    assert choose(4) == (0, "0,1,2,3\n")


def test_containers_of_earlier_versions_count_by_what_they_were_given(choose: Choose) -> None:
    assert choose(1, held="/cosmos-old, 2:;\n") == (0, "2\n")
    code, said = choose(1, held="/cosmos-old, -1:;\n")
    assert code == 1
    busy = refusal("gpu1", 1, said)
    assert isinstance(busy, GpusBusy)
    assert busy.users[0] == "0 container cosmos-old"
    assert choose(1, held="/cosmos-nothing, \n") == (0, "0\n")


def test_a_start_of_the_order_itself_that_was_cut_off_holds_nothing(choose: Choose) -> None:
    assert choose(4, held="/cosmos-own, 0:0/1/2/3;\n") == (0, "0,1,2,3\n")


def test_a_compute_process_of_somebody_else_makes_its_gpu_busy(choose: Choose) -> None:
    apps = f"GPU-000, {os.getpid()}, 4321\nGPU-222, 999999999, [N/A]\n"
    assert choose(2, apps=apps) == (0, "1,3\n")
    code, said = choose(3, apps=apps)
    assert code == 1
    busy = refusal("gpu1", 3, said)
    assert isinstance(busy, GpusBusy)
    assert str(busy) == (
        f"gpu1 does not have 3 free GPUs now: GPU 0 is used by the process {os.getpid()} of root, "
        "4321 MiB; GPU 2 is used by the process 999999999."
    )
    assert busy.users == (f"0 process {os.getpid()}", "2 process 999999999")


def test_processes_in_a_container_of_ours_are_told_as_the_container(choose: Choose) -> None:
    code, said = choose(1, "0", apps="GPU-000, 42, 4321\n", held="/cosmos-a, 0:0;\n")
    assert code == 1
    busy = "gpu1 does not have a free GPU now: GPU 0 is used by the container cosmos-a."
    assert str(refusal("gpu1", 1, said)) == busy


def test_a_gpu_that_is_not_there_is_named_with_those_that_are(choose: Choose) -> None:
    code, said = choose(1, "0,7,GPU-999")
    assert code == 1
    why = refusal("gpu1", 1, said)
    assert not isinstance(why, GpusBusy)
    assert why.message == "gpu1 has no GPU 7, GPU-999: it has 0, 1, 2, 3."


def test_an_order_that_needs_more_gpus_than_there_are_is_refused_not_kept_waiting(
    choose: Choose,
) -> None:
    code, said = choose(8, held="/cosmos-a, 0:0;\n")
    assert code == 1
    why = refusal("gpu1", 8, said)
    assert not isinstance(why, GpusBusy)
    assert "needs 8 GPUs of gpu1, where it may use 4: 0, 1, 2, 3." in why.message


def test_without_nvidia_smi_only_containers_count(choose: Choose) -> None:
    assert choose(1, gpus=None) == (0, "0\n")
    assert choose(1, "2,3", gpus=None, held="/cosmos-a, 0:2;\n") == (0, "3\n")
    assert choose(1, gpus=None, held="/cosmos-a, 0:0;\n")[0] == 1
    assert choose(2, gpus="No devices were found\n") == (0, "0,1\n")  # Docker will say why not


def test_a_slice_of_a_gpu_is_held_by_its_uuid(choose: Choose) -> None:
    assert choose(1, "MIG-a,MIG-b", held="/cosmos-a, 0:MIG-a;\n") == (0, "MIG-b\n")


def test_a_carrier_that_cannot_list_its_orders_chooses_nothing(choose: Choose) -> None:
    fails = ("sh", "-c", "echo Cannot connect to the Docker daemon >&2; exit 1")
    assert choose(1, holders=fails) == (1, "unasked Cannot connect to the Docker daemon\n")


@pytest.mark.parametrize("said", ["", "noise", "used", "used 0", "\x1b[31mused 0 x", "known"])
def test_any_answer_of_a_host_becomes_an_error_of_one_line(said: str) -> None:
    why = refusal("gpu1", 1, said)
    assert isinstance(why, BackendError)
    assert "\n" not in str(why)
    assert "\x1b" not in str(why)


@pytest.mark.parametrize("held", ["x", "a, b", "a, 0:0", "a, ;;", "/c, $(id):0;", "/c, 0:0;0:", ""])
def test_odd_lines_of_the_carrier_hold_nothing(choose: Choose, held: str) -> None:
    assert choose(1, held=f"{held}\n") == (0, "0\n")
