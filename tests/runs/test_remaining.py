"""How long a run still takes, by earlier ones that did the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cosmos_pipelines.catalog.records import Run, utc_now
from cosmos_pipelines.runs.remaining import Remaining
from tests.support.counting import counting
from tests.support.project import Project, make_project

CITY = {
    "color": {"file": "color.mp4", "sha256": "0" * 64, "size": 9, "width": 1280, "height": 704,
              "frames": 241, "fps": "24"},
}  # fmt: skip


def added(project: Project, scene: str, timing: dict[str, float] | None = None, **row: Any) -> Run:
    """A run for a scene; with `timing` it is completed and took so long."""
    catalog = project.catalog
    prompt, _ = catalog.add_prompt(f"{scene} text", None, scene, "name", {})
    run = catalog.add_run(
        "transfer",
        row.pop("engine", "cosmos_transfer1"),
        "ssh_docker",
        {"num_steps": 35, **row.pop("config", {})},
        prompt_id=prompt.id,
        **row,
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


def remaining_of(project: Project, *runs: Run) -> Remaining:
    """What is known of these runs."""
    return Remaining(project.catalog, project.settings, runs)


def whole_s(remaining: Remaining, run: Run) -> float | None:
    """Seconds of a run with its load, in the middle."""
    found = remaining.whole(run)
    return None if found is None else found.busy.p50


def test_a_run_takes_as_long_as_others_of_its_scene_and_settings(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    for seconds in (500, 600, 9000):  # a median is not led astray by one bad night
        added(project, "street", {"seconds": seconds, "load_s": 60})
    run, other = added(project, "street", config={"seed": 9}), added(project, "bridge")
    remaining = remaining_of(project, run, other)
    assert whole_s(remaining, run) == 660
    half = replace(run, progress={"done": 5, "total": 10, "text": ""})
    assert remaining.left_s(half) == 300
    assert remaining.left_s(replace(run, started_at=utc_now() - timedelta(hours=1))) == 0
    assert (remaining.whole(other), remaining.left_s(other)) == (None, None)
    project.catalog.close()


def test_a_run_of_another_scene_is_known_by_its_length_and_steps(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.catalog.put_scene("city", "inputs/videos/city", "d", CITY)
    work = {"chunks": 1, "steps": 10, "gpus": 1, "kind": "1 control(s), computed vis"}
    for _ in range(3):
        added(project, "street", {"seconds": 100, "load_s": 60, **work})
    run = added(project, "city", config={"weights": {"vis": 1.0}})
    assert whole_s(remaining_of(project, run), run) == 60 + 100 * 2 * 3.5
    project.catalog.close()


def test_a_4k_that_waits_for_its_video_is_known_by_the_length_of_its_scene(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    catalog = project.catalog
    catalog.put_scene("city", "inputs/videos/city", "d", CITY)
    video = added(project, "city")
    queued = catalog.add_run(
        "upscale", "cosmos_transfer1", "ssh_docker", {"num_steps": 10},
        prompt_id=video.prompt_id, parent_run_id=video.id,
    )  # fmt: skip
    work = remaining_of(project, queued)._works.of(queued)
    assert (work.steps, work.chunks > 1) == (10, True)
    catalog.close()


def test_without_earlier_runs_a_run_says_itself_how_fast_it_is(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    now = utc_now()
    run = replace(added(project, "street"), started_at=now - timedelta(seconds=100))
    remaining = remaining_of(project, run)
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
    assert remaining_of(project, first, second).left_s(second, now) is None
    assert remaining_of(project, second).left_s(second, now) == 400
    project.catalog.close()


def test_an_order_ends_when_all_its_runs_are_made_behind_one_load(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    added(project, "street", {"seconds": 500, "load_s": 60})
    now = utc_now()
    runs = [replace(added(project, "street"), batch_id="batch_1", started_at=now) for _ in range(3)]
    unknown = replace(added(project, "bridge"), batch_id="batch_1", started_at=now)
    remaining = remaining_of(project, *runs, unknown)
    assert remaining.order_left_s(runs, now) == 1560
    assert remaining.order_left_s(runs, now + timedelta(seconds=20)) == 1540
    assert remaining.order_left_s(runs, now + timedelta(hours=1)) == 1500
    half = replace(runs[0], progress={"done": 5, "total": 10, "text": ""})
    assert remaining.order_left_s([half, *runs[1:]], now) == 1250
    assert remaining.order_left_s([*runs, unknown], now) is None
    assert remaining.order_left_s([], now) == 0
    project.catalog.close()


def test_many_waiting_runs_take_as_many_queries_as_one(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    runs = [added(project, "street", config={"seed": n}) for n in range(30)]
    asked = []
    for some in (runs[:1], runs):
        with counting(project.settings) as counts:
            remaining = remaining_of(project, *some)
            for run in some:
                remaining.whole(run)
        asked.append(counts["statement"])
    assert asked[0] == asked[1]
    project.catalog.close()
