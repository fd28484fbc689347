"""`model_run.py` understands Transfer2.5 through the filter of its console, as an order sets it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos_pipelines.engines.cosmos_transfer2_5.facts import SAYS, SETUP
from tests.gpu_scripts.model.model_orders import Done, argv_of, run_id, start
from tests.models import trees
from tests.support.videos import write_video
from tests.support.waiting import LONG_S

VIDEO = (
    "The guardrail refused the finished video: 4 of its 4 frames are unsafe; the lines before this "
    "one name the kind of each frame."
)
TEXT = "The guardrail's blocklist refused the text for the word: knife"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host with code, weights and a source."""
    root = tmp_path_factory.mktemp("host")
    trees.checkout("transfer2_5", root / "code")
    trees.fake_checkpoints("transfer2_5", root / "hf")
    write_video(root / "source.mp4", [np.full((48, 64, 3), 60 + 9 * n, np.uint8) for n in range(4)])
    return root


def made(place: Path, folder: Path, prompts: Sequence[str], gpus: int = 1, steps: int = 1) -> Done:
    """Carry out a request for these prompts, with an order's own variables."""
    (folder / "specs").mkdir(parents=True)
    source, specs, samples = str(place / "source.mp4"), [], []
    for n, prompt in enumerate(prompts):
        path = f"specs/{run_id(n)}.json"
        spec = {"name": run_id(n), "prompt": prompt, "video_path": source, "num_steps": steps}
        spec |= {"edge": {"control_weight": 1.0, "control_path": source}}
        (folder / path).write_text(json.dumps(spec))
        specs.append(str(folder / path))
        output = f"outputs/{run_id(n)}.mp4"
        samples.append({"run_id": run_id(n), "prompt": prompt, "output": output, "chunks": 1,
                        "spec": path})  # fmt: skip
    request: dict[str, Any] = {
        "engine": "cosmos_transfer2_5", "operation": "transfer", "version": "1", "folder": "made",
        "lines": None, "produces": {"video": "{name}.mp4", "text": "{name}.txt"},
        "samples": samples, "batch_size": 1, "needs": {}, "says": SAYS,
    }  # fmt: skip
    (folder / "request.json").write_text(json.dumps(request))
    words = [sys.executable]
    if gpus > 1:
        port = 20000 + os.getpid() % 9000
        words = ["torchrun", f"--nproc_per_node={gpus}", f"--master_port={port}"]
    words += ["examples/inference.py", "-i", *specs, "-o", str(folder / "made")]
    words += ["--no-keep-going"] if gpus > 1 else []
    names = {"code": str(place / "code"), "huggingface": str(place / "hf")}
    env = {key: value.format(**names) for key, value in SETUP.env.items()}
    env |= {"PATH": trees.path_with_torchrun(), "COSMOS_CWD": str(place / "code")}
    return Done(folder, start(folder, argv_of(folder, words), env).wait(LONG_S))


@pytest.mark.parametrize("gpus", [1, 2])
def test_what_the_guardrail_refuses_is_told_with_its_reason(
    place: Path, tmp_path: Path, gpus: int
) -> None:
    prompts = ["a street", "a [sim:video_blocked]", "a [sim:blocked knife]", "a road"]
    done = made(place, tmp_path / "run", prompts, gpus)
    assert done.failed == {1: ("blocked", VIDEO), 2: ("blocked", TEXT)}, done.log
    assert sorted(path.stem for path in (tmp_path / "run/outputs").glob("*.mp4")) == [
        run_id(0), run_id(3)
    ]  # fmt: skip


def test_chunks_move_on(place: Path, tmp_path: Path) -> None:
    done = made(place, tmp_path / "run", ["a street"])
    assert "transfer: chunk 1/1\n" in done.log, done.log
    assert "|DEBUG|" not in done.log
    assert "|DEBUG|" in (tmp_path / "run/made/debug.log").read_text()


def test_settings_that_the_model_prints_are_no_failure(place: Path, tmp_path: Path) -> None:
    prompt = "a sign: No space left on device [sim:exit 3]"
    done = made(place, tmp_path / "run", [prompt])
    assert done.kinds == {0: "model_failed"}, done.log
