"""NVIDIA's engines at the command line: dry runs, refusals, and what the simulators make."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cosmos
from tests.models.trees import path_with_torchrun
from tests.support.cosmos_models import cosmos_project
from tests.support.project import Project, write_video

SIZES = {"wide": (1920, 1080), "tall": (1080, 1920), "square": (512, 512)}
LENGTHS = (1, 24, 93, 94, 121, 122, 400)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project of Cosmos-Transfer1 with scenes of many sizes and lengths."""
    project = cosmos_project(tmp_path_factory.mktemp("cosmos") / "home")
    inputs = project.settings.inputs
    for name, (width, height) in SIZES.items():
        write_video(inputs / name / "color.mp4", frames=2, width=width, height=height)
    for frames in LENGTHS:
        write_video(inputs / f"of {frames}" / "color.mp4", frames=frames, width=32, height=32)
    project.scene("city", frames=4)
    for i, name in enumerate(("edge", "vis")):
        write_video(inputs / "city" / f"{name}.mp4", frames=4, seed=90 + i)
    yield project
    project.catalog.close()


@pytest.fixture
def project(made: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The same, with torchrun and nvidia-smi simulated."""
    monkeypatch.setenv("PATH", path_with_torchrun())
    return made


def prompt(cosmos: Cosmos, scene: str, text: str = "A street") -> str:
    """A new prompt's id."""
    return cosmos("create", "prompt", text, scene).out.strip()


@pytest.mark.parametrize(
    ("scene", "size", "note"),
    [
        ("wide", "1280x704", "1920x1080 is resized to 1280x704: things become 2.3% wider."),
        ("tall", "704x1280", "1080x1920 is resized to 704x1280: things become 2.2% narrower."),
        ("square", "960x960", "512x512 is resized to 960x960."),
    ],
)
def test_a_dry_run_says_what_becomes_of_the_picture(
    cosmos: Cosmos, scene: str, size: str, note: str
) -> None:
    said = cosmos("inference", prompt(cosmos, scene), "--dry-run")
    assert said.code == 0
    assert f"({size}, 2 frames, 24 fps)" in said.out
    assert f"note: {note}" in said.err


@pytest.mark.parametrize(
    ("engine", "frames", "chunks", "note"),
    [
        ("cosmos_transfer1", 24, 1, "24 frames cost as much as 121"),
        ("cosmos_transfer1", 121, 1, "121 frames cost one chunk."),
        ("cosmos_transfer1", 122, 2, "122 frames cost two chunks; 121 would cost one chunk"),
        ("cosmos_transfer1", 400, 4, "400 frames cost four chunks; 361 would cost three chunks"),
        ("cosmos_transfer2_5", 93, 1, "93 frames cost one chunk."),
        ("cosmos_transfer2_5", 94, 2, "94 frames cost two chunks; 93 would cost one chunk"),
        ("cosmos_transfer2_5", 400, 5, "400 frames cost 5 chunks"),
        ("cosmos3", 122, 2, "122 frames cost two chunks; 121 would cost one chunk"),
    ],
)
def test_a_dry_run_says_what_a_length_costs(
    cosmos: Cosmos, engine: str, frames: int, chunks: int, note: str
) -> None:
    words = ["--engine", engine, "--weights", 0, 1, 0, 0, "--dry-run"]
    said = cosmos("inference", prompt(cosmos, f"of {frames}"), *words)
    assert said.code == 0, said.err
    assert re.search(rf"^chunks +{chunks}$", said.out, re.M)
    assert f"note: {note}" in said.err


@pytest.mark.parametrize(
    ("engine", "scene", "words", "why"),
    [
        ("cosmos_transfer1", "of 1", [], "1 frame(s); the model needs at least 2"),
        ("cosmos_transfer1", "city", ["--num-gpus", 3], "cannot run on 3 GPUs"),
        ("cosmos_transfer2_5", "city", ["--num-gpus", 3], "cannot run on 3 GPUs"),
        ("cosmos_transfer2_5", "city", ["--guidance", 8.0], "guidance 8 does not fit"),
        ("cosmos_transfer2_5", "city", ["--guidance", 5.5], "guidance 5.5 does not fit"),
        ("cosmos3", "of 24", ["--weights", 0, 0, 1, 0], "depth"),
        ("cosmos_transfer1", "city", ["--regional-prompts", "{"], "is not valid JSON"),
        ("cosmos_transfer1", "city", ["--regional-prompts", '[{"prompt": "x"}]'], "mask_prompt"),
        ("cosmos_transfer1", "city", ["--sigma-max", 81], "sigma_max 81 is too much"),
    ],
)
def test_what_a_model_would_refuse_is_refused_in_one_line(
    cosmos: Cosmos, engine: str, scene: str, words: list[object], why: str
) -> None:
    said = cosmos("inference", prompt(cosmos, scene), "--engine", engine, *words)
    assert said.code == 2
    assert why in said.error
    assert cosmos("list", "runs", "--json").json == []


def test_a_dry_run_prints_the_exact_files_and_command(cosmos: Cosmos, project: Project) -> None:
    odd = 'A "street"\nin the rain $(reboot) {run} 雨'
    said = cosmos("inference", prompt(cosmos, "city", odd), "--dry-run")
    spec = json.loads(said.out.split("--- spec.json\n")[1])
    assert spec["prompt"] == odd
    assert spec["input_video_path"].startswith("{run}/inputs/color-")
    assert list(spec)[-4:] == ["vis", "edge", "depth", "seg"]
    assert "model      torchrun --nproc_per_node=1 --nnodes=1 --node_rank=0" in said.out
    assert "--checkpoint_dir {checkpoints} --video_save_folder {run}/made" in said.out
    assert re.search("^time +unknown: no similar run", said.out, re.M)
    assert re.search("^in +{code}$", said.out, re.M)
    assert re.search("^with +.*HF_HUB_OFFLINE=1", said.out, re.M)


def test_a_batch_keeps_what_is_not_blocked_and_the_next_one_can_be_timed(
    cosmos: Cosmos, project: Project
) -> None:
    texts = ["one", "two [sim:blocked lifeless]", "three 'quoted' $(reboot) 雨"]
    ids = [prompt(cosmos, "city", text) for text in texts]
    said = cosmos("inference", *ids, "--json")
    assert said.code == 4
    runs = said.json
    assert [run["status"] for run in runs] == ["completed", "failed", "completed"]
    assert "lifeless" in said.error
    for run in runs[::2]:
        assert Path(project.settings.home / run["outputs"]["video"]).is_file()
        assert run["progress"]["text"].endswith(": made")
    why = cosmos("why", runs[1]["id"])
    assert "lifeless" in why.out
    again = cosmos("inference", ids[0], "--dry-run")
    assert "from 2 runs in the same place" in again.out
    enhanced = cosmos("prompt-enhance", ids[0], "--json")
    assert enhanced.json["outputs"]["enhanced_prompt_id"].startswith("ps_")
    larger = cosmos("upscale", runs[0]["id"], "--json").json
    assert (larger["outputs"]["width"], larger["parent_run_id"]) == (2880, runs[0]["id"])


def test_a_gpu_that_the_container_lost_is_told_with_what_helps(cosmos: Cosmos) -> None:
    lost = "CUDA unknown error - this may be due to an incorrectly set up environment"
    prompt_id = prompt(cosmos, "city", f"[sim:unknown_error {lost}] street")
    said = cosmos("inference", prompt_id, "--weights", "0", "0", "1", "0", "--num-steps", "2")
    assert said.code == 4
    assert "failed (gpu_lost): The container has lost its GPU (CUDA unknown error)" in said.error
    run_id = cosmos("list", "runs", "--json").json[0]["id"]
    told = cosmos("why", run_id).out
    assert "native.cgroupdriver=cgroupfs" in told
    assert f"RuntimeError: {lost}" in told
    assert "cosmos doctor  (says what is wrong with the GPUs of the host" in told
