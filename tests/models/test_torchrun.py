"""The simulator of torchrun starts, watches and reports as torch does."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.models.running import Host, clip
from tests.support.waiting import LONG_S

TELL = """
import os, sys, time
rank, alone = os.environ["RANK"], os.getsid(0) == os.getpid()
words = [rank, os.environ.get("OMP_NUM_THREADS"), os.environ["WORLD_SIZE"],
         os.environ["MASTER_PORT"], alone, sys.argv[1:]]
sys.stdout.write(f"rank {' '.join(map(str, words))}\\n")
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(TELL)
    return path


def free_port() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return str(held.getsockname()[1])


def test_options_have_two_forms_and_the_script_has_its_own(
    transfer1_host: Host, script: Path
) -> None:
    port = free_port()
    one = transfer1_host.run("torchrun", "--nproc_per_node=1", "--nnodes=1", "--node_rank=0",
                             f"--master_port={port}", script, "--seed", "7")  # fmt: skip
    assert one.code == 0, one.said
    assert f"rank 0 None 1 {port} True ['--seed', '7']" in one.said
    two = transfer1_host.run("torchrun", "--nproc_per_node", "2", "--standalone", script)
    assert two.code == 0
    assert "rank 0 1 2 " in two.said
    assert "rank 1 1 2 " in two.said
    assert "SIMULATOR of torchrun" in two.said


def test_unknown_options_are_refused(transfer1_host: Host, script: Path) -> None:
    assert transfer1_host.run("torchrun", "--nproc=1", script).code == 2
    assert transfer1_host.run("torchrun", "--nnodes=2", script).code == 2


def test_a_port_in_use_is_an_error(transfer1_host: Host, script: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        ended = transfer1_host.run("torchrun", f"--master_port={port}", script)
    assert ended.code == 1
    assert "EADDRINUSE" in ended.last
    assert "rank 0" not in ended.said


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("sys.exit(3)", ["exitcode  : 3 (pid: ", "To enable traceback see"]),
        (
            "os.kill(os.getpid(), 9)",
            ["exitcode  : -9 (pid: ", "Signal 9 (SIGKILL) received"],
        ),
    ],
)
def test_one_failure_ends_all_with_torchs_report(
    transfer1_host: Host, script: Path, how: str, words: list[str]
) -> None:
    script.write_text(f"{TELL}\nif rank == '1': {how}\ntime.sleep(300)\n")
    began = time.monotonic()
    ended = transfer1_host.run("torchrun", "--nproc_per_node=2", "--standalone", script)
    assert time.monotonic() - began < 100
    assert ended.code == 1
    assert "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n====" in ended.said
    assert f"{script} FAILED" in ended.said
    assert "Signal 15 (SIGTERM) received by PID" in ended.said
    report = ended.said.partition("Root Cause (first observed failure):")[2]
    assert all(word in report for word in ["rank      : 1 (local_rank: 1)", *words])


def test_a_signal_to_it_ends_its_processes(transfer1_host: Host, script: Path) -> None:
    script.write_text(f"{TELL}\nprint('pid', os.getpid())\ntime.sleep(300)\n")
    with transfer1_host.start("torchrun", "--standalone", script) as process:
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("pid"):
            assert process.poll() is None
        process.terminate()
        said = process.stdout.read()
        assert process.wait(LONG_S) == 1
    assert "death signal, shutting down workers" in said
    assert "got signal: 15" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(line.split()[1]), signal.SIG_DFL)


def spec(tmp_path: Path, prompt: str) -> Path:
    source = str(clip(tmp_path / "source.mp4", 3))
    path = tmp_path / "spec.json"
    path.write_text(
        f'{{"prompt": "{prompt}", "input_video_path": "{source}", "edge": {{"control_weight": 1}}}}'
    )
    return path


def transfer(host: Host, tmp_path: Path, prompt: str, processes: int, gpus: int) -> tuple[int, str]:
    ended = host.run(
        "torchrun", f"--nproc_per_node={processes}", "--standalone",
        "cosmos_transfer1/diffusion/inference/transfer.py", "--checkpoint_dir", host.checkpoints,
        "--video_save_folder", tmp_path / "made", "--controlnet_specs", spec(tmp_path, prompt),
        "--num_gpus", str(gpus),
    )  # fmt: skip
    return ended.code, ended.said


def test_only_rank_0_speaks_and_saves_while_all_preprocess(
    transfer1_host: Host, tmp_path: Path
) -> None:
    code, said = transfer(transfer1_host, tmp_path, "a", 2, 2)
    assert code == 0, said
    assert said.count("Saved video to") == 1
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        "output.mp4", "output.txt", "edge_input_control_0.mp4", "edge_input_control_1.mp4",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "processes", "gpus", "words"),
    [
        ("a", 2, 1, "SIMULATOR: 2 processes with --num_gpus 1"),
        ("a", 1, 2, "RuntimeError: world_size (1) is not divisible by 2"),
        ("a", 3, 3, "AssertionError: 16 cannot divide cp_size 3"),
        ("[sim:lost_rank 1]", 2, 2, "torch.distributed.DistBackendError: NCCL error"),
    ],
)
def test_processes_that_do_not_fit_together_fail(
    transfer1_host: Host, tmp_path: Path, prompt: str, processes: int, gpus: int, words: str
) -> None:
    code, said = transfer(transfer1_host, tmp_path, prompt, processes, gpus)
    assert code == 1
    assert words in said
    assert "ChildFailedError" in said


def test_a_host_out_of_memory_takes_the_launcher_too(transfer1_host: Host, tmp_path: Path) -> None:
    code, said = transfer(transfer1_host, tmp_path, "[sim:hostkill]", 2, 2)
    assert code == -signal.SIGKILL
    assert "ChildFailedError" not in said
