"""What earlier runs promise of the time of the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.estimate import estimate, timing_of
from cosmos_pipelines.settings import Settings
from tests.support.project import Project, make_project, settings_in

COST: dict[str, int | str] = {"chunks": 2, "steps": 35, "gpus": 1, "kind": "4 control(s)"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return make_project(tmp_path / "home")


def order(*costs: dict[str, int | str], **facts: Any) -> Order:
    """An order of as many runs as there are costs."""
    named = {f"rs_{n}": cost for n, cost in enumerate(costs)}
    given = {"id": "order", "run_ids": tuple(named), "engine": "cosmos_transfer1", "argv": (),
             "model_type": "transfer", "inputs": {}, "expected": (), "costs": named}  # fmt: skip
    return Order(**{**given, **facts})


def completed(project: Project, seconds: float, load_s: float = 60, **cost: int | str) -> None:
    """A run that has been made on the host h100, or here if `host` is None."""
    catalog = project.catalog
    prompt, _ = catalog.add_prompt("text", None, "city", "name", {})
    run = catalog.add_run("transfer", "cosmos_transfer1", "ssh_docker", {}, prompt_id=prompt.id)
    assert catalog.claim(run.id, "us")
    timing = {"seconds": seconds, "load_s": load_s, **COST, **cost}
    for before, after in (("uploading", "running"), ("running", "downloading")):
        assert catalog.advance(run.id, "us", before, after, **(  # type: ignore[arg-type]
            {"host": "h100"} if after == "running" else {}
        ))  # fmt: skip
    assert catalog.advance(
        run.id, "us", "downloading", "completed", outputs={"video": "v", "timing": timing}
    )


@pytest.fixture
def on_host(tmp_path: Path) -> Settings:
    """Settings with a GPU host."""
    return settings_in(tmp_path / "h", '[remote]\nhost = "h100"\n')


def test_time_is_expected_by_chunks_and_steps_plus_one_load(
    project: Project, on_host: Settings
) -> None:
    for seconds in (700, 720, 9000):  # a median is not led astray by one bad night
        completed(project, seconds)
    more = {**COST, "chunks": 4}
    told = estimate(project.catalog, on_host, order(COST, more), "ssh_docker")
    assert told == {"seconds": 60 + 720 + 1440, "load_s": 60, "runs": 3}


def test_nothing_is_expected_where_nothing_like_it_was_made(
    project: Project, on_host: Settings, tmp_path: Path
) -> None:
    completed(project, 700)
    elsewhere = settings_in(tmp_path / "e", '[remote]\nhost = "other"\n')
    two = {**COST, "gpus": 2}
    assert estimate(project.catalog, on_host, order(COST), "ssh_docker") is not None
    assert estimate(project.catalog, elsewhere, order(COST), "ssh_docker") is None
    assert estimate(project.catalog, on_host, order(COST), "local") is None
    assert estimate(project.catalog, on_host, order(two), "ssh_docker") is None
    slower = {**COST, "kind": "1 control(s), computed seg"}
    assert estimate(project.catalog, on_host, order(slower), "ssh_docker") is None
    other = order(COST, engine="cosmos3")
    assert estimate(project.catalog, on_host, other, "ssh_docker") is None
    assert estimate(project.catalog, on_host, order(costs={}), "ssh_docker") is None


def test_a_runs_time_is_kept_with_what_it_cost() -> None:
    record = {"loads": 1, "samples": {"rs_0": {"seconds": 12.5, "load_s": 3.0, "load": 1}}}
    assert timing_of(record, order(COST), "rs_0") == {
        "timing": {"seconds": 12.5, "load_s": 3.0, **COST}
    }
    assert timing_of(record, order(COST), "rs_1") == {}
    assert timing_of({}, order(COST), "rs_0") == {}
