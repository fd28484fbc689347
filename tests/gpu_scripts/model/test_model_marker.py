"""`model_run.py` with a model that writes no text: a marker says that all is there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.gpu_scripts.model.model_orders import Done, argv_of, run_id, start
from tests.models import trees
from tests.support.videos import write_video
from tests.support.waiting import LONG_S

SAYS = {
    "loaded": ["Saved sample args to"],
    "begins": [r"Saved sample args to '.*?(?P<name>[^/']+)/sample_args\.json'"],
    "chunk": [],
    "step": [r"Sampling:\s+\d+%\|.*?\|\s*(?P<step>\d+)/(?P<steps>\d+) "],
    "failures": [["out_of_memory", "OutOfMemoryError", "The GPU's memory ran out."]],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host with the framework, its weights and a control."""
    root = tmp_path_factory.mktemp("host")
    trees.checkout("cosmos3", root / "code")
    trees.fake_checkpoints("cosmos3", root / "hf")
    grey = (np.full((48, 64, 3), 60 + n, np.uint8) for n in range(12))
    write_video(root / "control.mp4", grey)
    return root


def carried_out(place: Path, folder: Path, *prompts: str, **spec: Any) -> Done:
    """Samples with these prompts, one document each."""
    (folder / "specs").mkdir(parents=True)
    samples: list[dict[str, Any]] = []
    for n, prompt in enumerate(prompts):
        path = f"specs/{run_id(n)}.json"
        hint = {"depth": {"control_path": str(place / "control.mp4")}}
        fields = {"name": run_id(n), "model_mode": "video2video", "prompt": prompt, "seed": 1}
        (folder / path).write_text(json.dumps(fields | {"num_steps": 3} | spec | hint))
        sample = {"run_id": run_id(n), "prompt": prompt, "chunks": 3, "spec": path}
        samples.append(sample | {"output": f"outputs/{run_id(n)}.mp4"})
    marker = "{name}/sample_outputs.json"
    request = {
        "engine": "cosmos3",
        "operation": "transfer",
        "version": "1",
        "folder": "made",
        "lines": None,
        "produces": {"video": "{name}/vision.mp4", "text": None, "marker": marker},
        "samples": samples,
        "needs": {},
        "says": SAYS,
    }
    (folder / "request.json").write_text(json.dumps(request))
    argv = argv_of(folder, command([str(folder / s["spec"]) for s in samples], folder))
    env = {"PYTHONPATH": str(place / "code"), "COSMOS_CWD": str(place / "code")}
    env |= {"HF_HOME": str(place / "hf"), "PATH": os.environ["PATH"]}
    return Done(folder, start(folder, argv, env).wait(LONG_S))


def command(specs: Sequence[str], folder: Path) -> list[str]:
    words = [sys.executable, "-m", "cosmos_framework.scripts.inference", "-i", *specs]
    return [*words, "-o", str(folder / "made"), "--checkpoint-path", "Cosmos3-Nano"]


def made(done: Done) -> list[str]:
    return sorted(path.name for path in (done.folder / "outputs").glob("rs_*.mp4"))


def test_a_video_with_its_marker_is_kept_though_the_model_dies_later(
    place: Path, tmp_path: Path
) -> None:
    done = carried_out(place, tmp_path / "run", "a street", "a street [sim:oom]", "a harbour")
    assert done.code == 1
    assert made(done) == [f"{run_id(0)}.mp4"]
    assert done.kinds == {1: "out_of_memory", 2: "lost"}, done.log
    assert done.record["samples"][run_id(0)]["prompt_txt"] is False


def test_a_video_without_its_marker_is_no_result(place: Path, tmp_path: Path) -> None:
    done = carried_out(place, tmp_path / "run", "a street [sim:no_text]", "a harbour")
    assert made(done) == [f"{run_id(1)}.mp4"]
    assert done.kinds == {0: "output_missing"}, done.log
    assert "not the file that is written after it" in done.failed[0][1]


def test_a_marker_without_its_video_is_no_result(place: Path, tmp_path: Path) -> None:
    done = carried_out(place, tmp_path / "run", "a street [sim:lie]", "a harbour")
    assert made(done) == [f"{run_id(1)}.mp4"]
    assert done.kinds == {0: "output_missing"}, done.log


def test_steps_that_begin_anew_are_another_chunk(place: Path, tmp_path: Path) -> None:
    """12 frames in chunks of 5 that share one: three chunks; no line of the model tells them."""
    slow = "a street [sim:slow 0.4]"
    done = carried_out(place, tmp_path / "run", slow, num_video_frames_per_chunk=5)
    assert done.code == 0, done.log
    told = [f"chunk {n}/3, step " for n in (1, 2, 3)]
    assert all(words in done.log for words in told)
    assert sorted(told, key=done.log.index) == told
