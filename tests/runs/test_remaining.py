"""How long a run still takes, by earlier ones that did the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from cosmos_pipelines.catalog.records import Run, utc_now
from cosmos_pipelines.runs.remaining import Remaining
from tests.support.project import Project, make_project


def added(project: Project, scene: str, timing: dict[str, float] | None = None) -> Run:
    """A run for a scene; with `timing` it is completed and took so long."""
    catalog = project.catalog
    prompt, _ = catalog.add_prompt(f"{scene} text", None, scene, "name", {})
    run = catalog.add_run(
        "transfer", "cosmos_transfer1", "ssh_docker", {"num_steps": 35}, prompt_id=prompt.id
    )
    assert catalog.claim(run.id, "us")
    running = catalog.advance(run.id, "us", "uploading", "running")
    assert running is not None
    if timing is None:
        return running
    assert catalog.advance(run.id, "us", "running", "downloading")
    made = {"video": "v", "timing": timing}
    completed = catalog.advance(run.id, "us", "downloading", "completed", outputs=made)
    assert completed is not None
    return completed


def test_a_run_takes_as_long_as_others_of_its_scene_and_settings(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    for seconds in (500, 600, 9000):  # a median is not led astray by one bad night
        added(project, "street", {"seconds": seconds, "load_s": 60})
    run, other = added(project, "street"), added(project, "bridge")
    remaining = Remaining(project.catalog, [run, other])
    assert remaining.whole_s(run) == 660
    half = replace(run, progress={"done": 5, "total": 10, "text": ""})
    assert remaining.left_s(half) == 300
    assert remaining.left_s(replace(run, started_at=utc_now() - timedelta(hours=1))) == 0
    assert (remaining.whole_s(other), remaining.left_s(other)) == (None, None)
    project.catalog.close()


def test_without_earlier_runs_a_run_says_itself_how_fast_it_is(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    now = utc_now()
    run = replace(added(project, "street"), started_at=now - timedelta(seconds=100))
    remaining = Remaining(project.catalog, [run])
    fast = replace(run, progress={"done": 20, "total": 100, "text": ""})
    assert remaining.left_s(fast, now) == 400
    slow = replace(run, progress={"done": 1, "total": 100, "text": ""})
    assert remaining.left_s(slow, now) is None  # too early to tell
    project.catalog.close()


def test_a_run_that_began_after_others_of_its_load_is_not_measured_by_the_start_of_the_load(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path)
    now = utc_now()
    shared = {"started_at": now - timedelta(seconds=100), "batch_id": "batch_1"}
    progress = {"done": 20, "total": 100, "text": ""}
    first, second = (
        replace(added(project, "street"), progress=progress, **shared)  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert Remaining(project.catalog, [first, second]).left_s(second, now) is None
    assert Remaining(project.catalog, [second]).left_s(second, now) == 400
    project.catalog.close()
