"""`gpu_scripts/model/model_run.py` with simulators of NVIDIA's own entry points."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.gpu_scripts.model.model_orders import Done, argv_of, run_id, said, start
from tests.models import trees
from tests.support.videos import write_video
from tests.support.waiting import LONG_S, until

SAYS = {
    "loaded": ["running preprocessor"],
    "chunk": ["Completed VAE decode"],
    "step": [],
    "failures": [
        ["blocked", "Exact Match Word: (.+)", "The guardrail refused the word {1}."],
        ["blocked", "GUARDRAIL BLOCKED: (.+)", "The guardrail refused the sample: {1}"],
        ["blocked", r"Generated video \d+ is not safe", "The guardrail refused the video."],
        ["out_of_memory", "OutOfMemoryError", "The GPU's memory ran out."],
        ["launch_failed", r"FileNotFoundError.*?([^\s'\"]+\.pt)", "The checkpoint {1} is missing."],
        ["launch_failed", "GatedRepoError", "A gated download was refused."],
    ],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host with code, weights and caches."""
    root = tmp_path_factory.mktemp("host")
    trees.checkout("transfer1", root / "transfer1")
    trees.checkout("transfer2_5", root / "transfer2_5")
    trees.fake_checkpoints("transfer1", root / "checkpoints")
    trees.fake_checkpoints("transfer2_5", root / "hf")
    grey = [np.full((48, 64, 3), 60 + 9 * n, np.uint8) for n in range(4)]
    write_video(root / "source.mp4", grey)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def env_of(place: Path, code: str = "transfer1") -> dict[str, str]:
    return {
        "PATH": trees.path_with_torchrun(),
        "PYTHONPATH": str(place / code),
        "COSMOS_CWD": str(place / code),
        "COSMOS_CHECKPOINTS": str(place / "checkpoints"),
        "HF_HOME": str(place / "hf"),
        "COSMOS_VERBOSE": "1",
    }


def request_of(prompts: Sequence[str], **change: Any) -> dict[str, Any]:
    samples = [
        {"run_id": run_id(n), "prompt": prompt, "output": f"outputs/{run_id(n)}.mp4", "chunks": 1}
        for n, prompt in enumerate(prompts)
    ]
    return {
        "engine": "cosmos_transfer1",
        "operation": "transfer",
        "version": "1",
        "folder": "made",
        "lines": "batch.jsonl",
        "produces": {"video": "video_{index}/output.mp4", "text": "video_{index}/prompt.txt"},
        "samples": samples,
        "batch_size": 1,
        "needs": {"files": ["nvidia/Cosmos-Transfer1-7B/base_model.pt"]},
        "says": SAYS,
        **change,
    }


def command_of(place: Path, folder: Path, gpus: int, batch_size: int) -> list[str]:
    """Transfer1's, as an order of its engine has it."""
    words = ["torchrun", f"--nproc_per_node={gpus}", "--nnodes=1", "--node_rank=0"]
    words += [f"--master_port={20000 + os.getpid() % 9000}"]
    words += ["cosmos_transfer1/diffusion/inference/transfer.py"]
    words += ["--checkpoint_dir", str(place / "checkpoints"), "--num_gpus", str(gpus)]
    words += ["--video_save_folder", str(folder / "made")]
    words += ["--controlnet_specs", str(folder / "spec.json"), "--offload_text_encoder_model"]
    return [*words, "--batch_input_path", f"{folder}/batch.jsonl", "--batch_size", str(batch_size)]


def placed(
    place: Path, folder: Path, prompts: Sequence[str], gpus: int = 1, **change: Any
) -> list[str]:
    """Write the run folder of a transfer; the argv."""
    source = str(place / "source.mp4")
    spec = {"input_video_path": source, "vis": {"control_weight": 1.0, "input_control": source}}
    (folder / "spec.json").write_text(json.dumps(spec))
    lines = [json.dumps({"visual_input": source, "prompt": prompt}) for prompt in prompts]
    (folder / "batch.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (folder / "request.json").write_text(json.dumps(request_of(prompts, **change)))
    return argv_of(folder, command_of(place, folder, gpus, change.get("batch_size", 1)))


def made(place: Path, folder: Path, prompts: Sequence[str], **change: Any) -> Done:
    argv = placed(place, folder, prompts, **change)
    return Done(folder, start(folder, argv, env_of(place)).wait(LONG_S))


def sim(*does: str) -> list[str]:
    """Prompts of samples that do this."""
    return [
        f"a street {n} {f'[sim:{word}]' if word else ''}".strip() for n, word in enumerate(does)
    ]


def sizes(done: Done) -> dict[int, tuple[int, int, int]]:
    """Number of the sample -> width, height and frames of its video."""
    found = {}
    for path in (done.folder / "outputs").glob("rs_*.mp4"):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            found[int(path.stem[3:], 16)] = (stream.width, stream.height, stream.frames)
    return found


def whole(*numbers: int) -> dict[int, tuple[int, int, int]]:
    return dict.fromkeys(numbers, (960, 704, 4))


def test_a_batch_of_five_with_the_second_one_blocked_makes_four(place: Path, folder: Path) -> None:
    done = made(place, folder, sim("", "blocked stabbing", "", "", ""))
    assert done.code == 1
    assert sizes(done) == whole(0, 2, 3, 4)
    assert done.failed == {1: ("blocked", "The guardrail refused the word stabbing.")}
    assert done.loads == 2
    for n in (0, 2, 3, 4):
        assert f"[{n + 1}/5] {run_id(n)} transfer: done in " in done.log
    order = [int(n) for n in re.findall(r"^\[(\d)/5\] rs_\w+ transfer: done", done.log, re.M)]
    assert order == [1, 3, 4, 5]


def test_out_of_memory_at_the_third_keeps_the_first_two(place: Path, folder: Path) -> None:
    done = made(place, folder, sim("", "", "oom", ""))
    assert sizes(done) == whole(0, 1)
    assert done.kinds == {2: "out_of_memory", 3: "lost"}
    assert done.loads == 1


def test_a_shifted_survivor_is_given_to_its_own_sample(place: Path, folder: Path) -> None:
    prompts = sim("blocked a", "wrong_size", "", "video_blocked")
    done = made(place, folder, prompts, batch_size=2)
    assert sizes(done) == {1: (480, 352, 4), **whole(2)}
    assert done.kinds == {0: "blocked", 3: "blocked"}
    assert done.loads == 1


def test_a_model_that_dies_at_the_third_is_taken_for_the_hosts_memory(
    place: Path, folder: Path
) -> None:
    done = made(place, folder, sim("", "", "die", ""))
    assert sizes(done) == whole(0, 1)
    assert done.kinds == {2: "out_of_memory", 3: "lost"}


def test_a_launcher_that_dies_leaves_no_rank_behind(place: Path, folder: Path) -> None:
    done = made(place, folder, sim("", "hostkill"), gpus=2)
    assert done.kinds == {1: "out_of_memory"}
    assert sizes(done) == whole(0)


def test_one_rank_that_is_lost_is_told_with_its_error(place: Path, folder: Path) -> None:
    done = made(place, folder, sim("", "lost_rank 1"), gpus=2)
    kind, sentence = done.failed[1]
    assert kind == "model_failed"
    assert sentence.endswith("DistBackendError: NCCL error: remote process exited or there was a "
                             "network error")  # fmt: skip


@pytest.mark.parametrize("word", ["hang", "stubborn"])
def test_a_hanging_model_is_stopped_and_what_is_finished_stays(
    place: Path, folder: Path, word: str
) -> None:
    script = start(folder, placed(place, folder, sim("", word, "")), env_of(place))
    until(said(folder, f"{run_id(1)} transfer: chunk|{run_id(0)} transfer: done"), "its log")
    until(said(folder, r"(?s)done in.*Starting diffusion sampling"), "its log")
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143
    assert sizes(Done(folder, 143)) == whole(0)
    assert not list(processes_of(folder))


def processes_of(folder: Path) -> list[int]:
    """Processes that have the run folder in their environment."""
    mark = f"COSMOS_RUN_DIR={folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_a_video_that_is_not_there_or_has_no_text_is_no_result(place: Path, folder: Path) -> None:
    done = made(place, folder, sim("lie", "", "no_text"))
    assert sizes(done) == whole(1)
    assert done.kinds == {0: "output_missing", 2: "output_missing"}


def test_a_missing_checkpoint_is_refused_before_the_model_is_started(
    place: Path, folder: Path
) -> None:
    needs = {"files": ["nvidia/Cosmos-Transfer1-7B/base_model.pt", "nvidia/not_there.pt"]}
    done = made(place, folder, sim(""), needs=needs)
    assert done.code == 2
    assert done.log.startswith("REFUSED: launch_failed: nvidia/not_there.pt is missing below ")
    assert "SIMULATOR" not in done.log


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("missing_checkpoint nvidia/x.pt", "The checkpoint {}/checkpoints/nvidia/x.pt is missing."),
        ("gated", "A gated download was refused."),
    ],
)
def test_what_is_missing_when_the_model_is_loaded_is_told_of_all(
    place: Path, folder: Path, word: str, said: str
) -> None:
    done = made(place, folder, sim("", word))
    assert done.failed == dict.fromkeys((0, 1), ("launch_failed", said.format(place)))


def upscale(place: Path, folder: Path) -> tuple[list[str], list[int]]:
    """An upscale of 50 frames in three pieces; the argv, and the shades of its source."""
    shades = [16 + (n * 7) % 220 for n in range(50)]
    (folder / "inputs").mkdir()
    write_video(
        folder / "inputs" / "video.mp4", (np.full((32, 48, 3), s, np.uint8) for s in shades)
    )
    pieces = [(0, 20), (20, 40), (30, 50)]
    keep = [end - before for before, end in pairwise([0, *(end for _, end in pieces)])]
    prompt = "a street"
    request = request_of([prompt], operation="upscale")
    request["samples"][0] |= {
        "chunks": 3,
        "frames": 50,
        "fps": "24",
        "source": "inputs/video.mp4",
        "pieces": pieces,
        "keep": keep,
    }
    paths = [str(folder / "pieces" / f"{run_id(0)}.{k:03}.mp4") for k in range(3)]
    lines = [{"visual_input": path, "prompt": prompt} for path in paths]
    (folder / "batch.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    spec = {"input_video_path": paths[0], "num_steps": 10, "upscale": {"control_weight": 0.5}}
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "request.json").write_text(json.dumps(request))
    return argv_of(folder, command_of(place, folder, 1, 1)), shades


def test_an_upscale_in_pieces_has_every_frame_once_in_order(place: Path, folder: Path) -> None:
    argv, shades = upscale(place, folder)
    done = Done(folder, start(folder, argv, env_of(place)).wait(LONG_S))
    assert done.code == 0, done.log
    with av.open(str(folder / "outputs" / f"{run_id(0)}.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (2880, 2112, 50)
        found = [
            float(np.frombuffer(frame.planes[0], np.uint8)[:2880].mean())
            for frame in container.decode(stream)
        ]
    luma = [16 + shade * 219 / 255 for shade in shades]
    assert np.abs(np.array(found) - luma).max() < 3  # neighbours are 6 apart


def test_a_batch_of_transfer2_5_tells_what_it_has_skipped(place: Path, folder: Path) -> None:
    """It goes on by itself after a refusal, and names each sample when it begins with it."""
    prompts = sim("", "blocked knife", "oom", "")
    request = request_of(prompts)
    request |= {"lines": None, "produces": {"video": "{name}.mp4", "text": "{name}.txt"}}
    request["needs"] = {}
    request["says"] = SAYS | {"begins": [r"Processing sample (?P<name>rs_\w+)"]}
    specs = []
    (folder / "specs").mkdir()
    for n, prompt in enumerate(prompts):
        request["samples"][n]["spec"] = f"specs/{run_id(n)}.json"
        specs.append(str(folder / "specs" / f"{run_id(n)}.json"))
        source = str(place / "source.mp4")
        spec = {"name": run_id(n), "prompt": prompt, "video_path": source, "seed": 1}
        spec |= {"num_steps": 3, "edge": {"control_weight": 1.0, "control_path": source}}
        Path(specs[-1]).write_text(json.dumps(spec))
    (folder / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "examples/inference.py", "-i", *specs, "-o", str(folder / "made")]
    argv = argv_of(folder, command)
    env = env_of(place, "transfer2_5")
    done = Done(folder, start(folder, argv, env).wait(LONG_S))
    assert done.kinds == {1: "blocked", 2: "out_of_memory", 3: "lost"}, done.log
    assert list(sizes(done)) == [0]
