"""A project with one engine for videos and another for upscales and prompts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.conftest import Cosmos
from tests.models.trees import path_with_torchrun
from tests.support.cosmos_models import cosmos_project
from tests.support.project import Project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project of Cosmos-Transfer2.5 whose upscales and prompts are Cosmos-Transfer1's."""
    others = {"upscale_engine": "cosmos_transfer1", "enhance_engine": "cosmos_transfer1"}
    home = tmp_path_factory.mktemp("engines") / "home"
    project = cosmos_project(home, "cosmos_transfer2_5", **others)
    project.scene("city", frames=4, width=128, height=96)
    yield project
    project.catalog.close()


@pytest.fixture
def project(made: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The same, with torchrun and nvidia-smi simulated."""
    monkeypatch.setenv("PATH", path_with_torchrun())
    return made


@pytest.fixture
def prompt(cosmos: Cosmos) -> str:
    """A prompt's id."""
    return cosmos("create", "prompt", "A street", "city").out.strip()


def test_a_video_is_upscaled_and_a_prompt_enhanced_without_naming_an_engine(
    cosmos: Cosmos, prompt: str
) -> None:
    video = cosmos("inference", prompt, "--json").json
    assert (video["engine"], video["status"]) == ("cosmos_transfer2_5", "completed")
    larger = cosmos("upscale", video["id"], "--json").json
    assert (larger["engine"], larger["status"]) == ("cosmos_transfer1", "completed")
    assert larger["parent_run_id"] == video["id"]
    better = cosmos("prompt-enhance", prompt, "--json").json
    assert (better["engine"], better["status"]) == ("cosmos_transfer1", "completed")


def test_inference_with_upscale_uses_both_engines(cosmos: Cosmos, prompt: str) -> None:
    runs = cosmos("inference", prompt, "--upscale", "--json").json
    assert [(run["model_type"], run["engine"], run["status"]) for run in runs] == [
        ("transfer", "cosmos_transfer2_5", "completed"),
        ("upscale", "cosmos_transfer1", "completed"),
    ]


def test_an_engine_that_is_named_wins(cosmos: Cosmos, prompt: str) -> None:
    plan = cosmos("prompt-enhance", prompt, "--engine", "preview", "--dry-run", "--json").json
    assert plan[0]["simulated"]
    said = cosmos("prompt-enhance", prompt, "--engine", "cosmos3")
    assert (said.code, "cosmos3 has no enhance" in said.error) == (2, True)


def test_status_and_doctor_show_each_engine_once(cosmos: Cosmos) -> None:
    lines = [line.split() for line in cosmos("status").out.splitlines()]
    assert ["engine", "Cosmos-Transfer2.5"] in lines
    assert ["upscale", "engine", "Cosmos-Transfer1"] in lines
    assert ["enhance", "engine", "Cosmos-Transfer1"] in lines
    said = cosmos("doctor")
    assert said.code == 0, said.out
    names = [line[6:].split("  ")[0] for line in said.out.splitlines()]
    assert names[-5:] == [
        "engine", "enhance_engine", "upscale_engine",
        "model of cosmos_transfer2_5", "model of cosmos_transfer1",
    ]  # fmt: skip
    assert "engine cosmos_transfer2_5, upscale_engine cosmos_transfer1" in said.out


def test_a_wrong_engine_costs_no_video(
    cosmos: Cosmos, project: Project, prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(cosmos("list", "runs", "--json").json)
    monkeypatch.setenv("COSMOS_EXECUTION__UPSCALE_ENGINE", "cosmos3")
    said = cosmos("inference", prompt, "--upscale")
    assert said.code == 2
    assert "COSMOS_EXECUTION__UPSCALE_ENGINE: execution.upscale_engine: The engine" in said.error
    assert len(cosmos("list", "runs", "--json").json) == before
