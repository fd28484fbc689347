"""The simulator of Cosmos-Transfer1 does what it is told, and so do the programs beside it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.models.running import Ended, Host, Transfer1, clip
from tests.models.simulated import videos
from tests.support.waiting import LONG_S, until


@pytest.fixture
def work(transfer1_host: Host, tmp_path: Path) -> Transfer1:
    return Transfer1(transfer1_host, tmp_path)


@pytest.mark.parametrize(
    ("behaviour", "code", "last"),
    [
        ("oom", 1, "torch.OutOfMemoryError: CUDA out of memory."),
        ("unknown_error a wheel came off", 1, "RuntimeError: a wheel came off"),
        ("lost_rank 0", 1, "torch.distributed.DistBackendError: NCCL error"),
        ("missing_checkpoint a/b.pt", 1, "FileNotFoundError: [Errno 2]"),
        ("gated", 1, "Access to model meta-llama/Llama-Guard-3-8B is restricted"),
        ("exit 5", 5, ""),
        ("die", -signal.SIGKILL, ""),
        ("hostkill", -signal.SIGKILL, ""),
        ("dance", 1, "SIMULATOR: no such behaviour: 'dance'"),
    ],
)
def test_it_fails_as_told_and_keeps_what_it_made_before(
    work: Transfer1, behaviour: str, code: int, last: str
) -> None:
    ended = work.run(lines=[work.line("one"), work.line(f"two [sim:{behaviour}]")])
    assert ended.code == code, ended.said
    assert last in ended.said.rstrip().splitlines()[-1]
    found = behaviour.split(maxsplit=1)[0] in ("missing_checkpoint", "gated", "dance")
    assert (work.made / "video_0/prompt.txt").exists() is not found


def test_it_spoils_what_it_makes_as_told_for_one_or_for_all(work: Transfer1) -> None:
    lines = [work.line(f"[sim:{how}]") for how in ("wrong_size", "short", "no_text", "lie")]
    ended = work.run(lines=lines, COSMOS_SIMULATE="slow 0.001; no_text")
    assert ended.code == 0, ended.said
    assert ended.said.count("Saved prompt to") == 4
    small, short = (videos.read(str(work.made / f"video_{i}/output.mp4")) for i in range(2))
    assert (small.width, small.height, short.frames) == (640, 352, 2)
    assert (work.made / "video_2/output.mp4").exists()
    assert not (work.made / "video_3/output.mp4").exists()
    assert not list(work.made.rglob("*.txt"))


def ignores(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = next(line for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(int(ignored.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize(("how", "end"), [("hang", signal.SIGTERM), ("stubborn", signal.SIGKILL)])
def test_it_sleeps_as_told_until_a_signal(work: Transfer1, how: str, end: signal.Signals) -> None:
    work.spec["prompt"] = f"[sim:{how}]"
    with work.host.start("python3", *work.write(None)) as process:
        assert process.stdout is not None
        while "Starting diffusion sampling" not in process.stdout.readline():
            assert process.poll() is None
        if how == "stubborn":
            until(lambda: ignores(process.pid, signal.SIGTERM), "its stubbornness")
        process.terminate()
        time.sleep(0.3)
        process.kill()
        assert process.wait(LONG_S) == -end


def test_it_runs_only_in_the_root_of_the_checkout_that_pythonpath_has(
    work: Transfer1,
) -> None:
    words = work.write(None)
    ended = work.host.python(*words, PYTHONPATH="")
    assert ended.last == "ModuleNotFoundError: No module named 'cosmos_transfer1'"
    there = ["python", str(work.host.code / words[0]), *words[1:]]
    command = f"import os, sys; os.chdir('scripts'); os.execv(sys.executable, {there!r})"
    ended = work.host.python("-c", command)
    assert ended.last.startswith("ModuleNotFoundError: ")


UPSAMPLE = """
import sys
from cosmos_transfer1.auxiliary.upsampler.inference.upsampler_pipeline import PixtralPromptUpsampler
model = PixtralPromptUpsampler(sys.argv[1], True)
print(repr(model._prompt_upsample_with_offload(sys.argv[2], sys.argv[3])))
"""


def upsample(work: Transfer1, prompt: str, **env: str) -> Ended:
    env = {"VLLM_WORKER_MULTIPROC_METHOD": "spawn", "TMPDIR": str(work.place)} | env
    return work.host.python("-c", UPSAMPLE, work.host.checkpoints, prompt, work.source, **env)


def test_the_prompt_upsampler_answers_as_told(work: Transfer1) -> None:
    ended = upsample(work, "a street")
    assert ended.last.startswith("'a street ")
    assert (work.place / "frame_1.png").exists()
    assert (work.place / "frame_2.png").exists()
    assert upsample(work, "a [sim:same]").last == "'a [sim:same]'"
    assert upsample(work, "[sim:empty]").last == "''"
    assert upsample(work, "[sim:raise it broke]").last == "RuntimeError: it broke"
    assert "spawn" in upsample(work, "a", VLLM_WORKER_MULTIPROC_METHOD="fork").last
    clip(work.source, 2, (1280, 720))
    assert "is too long to fit into the model" in upsample(work, "a").last


def test_the_prompt_upsampler_as_a_program_needs_all_of_torchrun(work: Transfer1) -> None:
    program = "cosmos_transfer1/auxiliary/upsampler/inference/upsampler_pipeline.py"
    words = [program, "--prompt", "a street", "--input_video", str(work.source),
             "--checkpoint_dir", str(work.host.checkpoints)]  # fmt: skip
    env = {"VLLM_WORKER_MULTIPROC_METHOD": "spawn"}
    assert work.host.python(*words, **env).last == "KeyError: 'RANK'"
    launched = work.host.run("torchrun", "--standalone", *words, **env)
    assert "KeyError: 'OMP_NUM_THREADS'" in launched.said
    launched = work.host.run("torchrun", "--standalone", *words, OMP_NUM_THREADS="1", **env)
    assert "Upsampled prompt: a street " in launched.said


def test_the_environment_test_names_what_is_missing_and_ends_with_zero(work: Transfer1) -> None:
    whole = work.host.python("scripts/test_environment.py")
    assert "Cosmos environment setup is successful!" in whole.last
    ended = work.host.python("scripts/test_environment.py", COSMOS_SIMULATE_MISSING="vllm apex")
    assert ended.code == 0
    assert ended.said.count("[SUCCESS]") == 6
    assert "[ERROR]" in next(line for line in ended.said.splitlines() if "vllm" in line)
