"""The queue is worked on without a daemon, by processes of one or of several workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.person import person
from cosmos_pipelines.settings import environment_of
from tests.support.project import make_project

WORK = """
import sys
from cosmos_pipelines.api import CosmosAPI
with CosmosAPI(sys.argv[1]) as api:
    api.work_queue(on_news=print)
"""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[CosmosAPI]:
    project = make_project(tmp_path / "home")
    project.catalog.close()
    project.scene("city")
    with CosmosAPI(project.settings.home) as api:
        api.create_prompt("A street", "city", name="street")
        yield api


def test_what_waits_is_made_what_fits_shares_a_load_and_tells_the_time_of_the_next(
    api: CosmosAPI,
) -> None:
    runs = [api.create_run("street", queue=True, seed=1, num_steps=n)["id"] for n in (3, 4)]
    news: list[str] = []
    signs: list[dict[str, str]] = []

    def told(sentence: str) -> None:
        news.append(sentence)
        signs.extend(api.look_at_queue(0)["workers"])

    api.work_queue(on_news=told)
    assert {sign["person"] for sign in signs} == {person()}
    assert len(signs) == len(news)
    assert api.look_at_queue(0)["workers"] == []
    found = api.catalog.get_runs(runs)
    assert [run.status for run in found] == ["completed", "completed"]
    loads = api.catalog.find_loads({run.load_id or "" for run in found})
    label = "PREVIEW (simulated on the CPU)"
    assert news == [f"Started at local: 2 runs of {label}.", "Ended at local: 2 completed."]
    assert len(loads) == 1
    assert all(run.outputs["timing"]["seconds"] > 0 for run in found)
    api.create_run("street", queue=True, seed=2, num_steps=3)
    (card,) = api.look_at_queue()["waiting"]
    assert card["end_p90_s"] >= card["end_s"] >= card["start_s"] == 0
    assert {(load.state, load.said) for load in loads.values()} == {("ended", None)}


def test_runs_whose_queue_is_paused_before_they_start_are_back_in_it(api: CosmosAPI) -> None:
    run = api.create_run("street", queue=True, seed=1, num_steps=3)["id"]
    news: list[str] = []

    def told(sentence: str) -> None:
        if not news:
            api.pause_queue()
        news.append(sentence)

    api.work_queue(on_news=told)
    assert news[1:] == ["Ended at local: 1 back in the queue."]
    assert api.get_run(run)["status"] == "pending"
    assert [card["id"] for card in api.look_at_queue()["waiting"]] == [run]


def test_several_workers_make_each_run_once(api: CosmosAPI) -> None:
    runs = [api.create_run("street", queue=True, seed=seed)["id"] for seed in range(1, 4)]
    command = [sys.executable, "-c", WORK, str(api.settings.home)]
    workers = [
        subprocess.Popen(command, env={**environment_of(api.settings)}, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [worker.communicate()[0].decode() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    found = api.catalog.get_runs(runs)
    assert {(run.status, run.attempt) for run in found} == {("completed", 1)}
    started = sum(text.count("Started at local") for text in said)
    assert started == len({run.load_id for run in found})


def test_a_run_that_cannot_be_begun_fails_and_the_worker_ends(api: CosmosAPI) -> None:
    run = api.create_run("street", queue=True)["id"]
    (api.settings.inputs / "city" / "color.mp4").unlink()
    api.work_queue()
    failed = api.catalog.get_run(run)
    assert (failed.status, failed.error_kind) == ("failed", "validation")
