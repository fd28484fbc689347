"""The loads to come as a person looks at them: by what earlier runs took, at a price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operate.queue import planned_loads, queue_now
from cosmos_pipelines.operate.queue_plan import MOST
from cosmos_pipelines.settings import Settings
from tests.catalog.rows import add_prompt
from tests.runs.test_remaining import CITY
from tests.support.counting import counting
from tests.support.many import fill
from tests.support.project import make_project, settings_in

PRICED = '[hosts.gpu1]\nhost = "192.0.2.1"\ngpus = [0]\nprice_per_gpu_hour = 36.0\n'
There = tuple[Catalog, Settings]


@pytest.fixture
def there(tmp_path: Path) -> Iterator[There]:
    """A project with a measured scene and a host that has a price."""
    settings = settings_in(tmp_path / "home", PRICED)
    with Catalog.open(settings.catalog_url) as catalog:
        passes = {**CITY, "depth": {**CITY["color"], "file": "depth.mp4"}}
        catalog.put_scene("city", "inputs/videos/city", "d", passes)
        yield catalog, settings


def run_of(catalog: Catalog, *, queued: bool = False, tags: Sequence[str] = ()) -> Run:
    """A video of the city on the host; all differ in nothing."""
    config = {"num_steps": 35, "weights": {"depth": 1.0}}
    prompt = add_prompt(catalog)
    row = {"prompt_id": prompt.id, "queued": queued, "tags": [*tags]}
    return catalog.add_run("transfer", "cosmos_transfer1", "gpu1", config, **row)


def made(catalog: Catalog) -> None:
    """A run that took 100 s, with a load of 60 s."""
    run = run_of(catalog)
    assert catalog.claim(run.id, "p")
    assert catalog.advance(run.id, "p", "uploading", "running", host="192.0.2.1")
    assert catalog.advance(run.id, "p", "running", "downloading")
    work = {"chunks": 2, "steps": 35, "gpus": 1, "kind": "1 control(s)"}
    outputs = {"video": "v", "timing": {"seconds": 100, "load_s": 60, **work}}
    assert catalog.advance(run.id, "p", "downloading", "completed", outputs=outputs)


def test_of_a_first_run_no_time_is_said_and_no_cost(there: There) -> None:
    run = run_of(there[0], queued=True)
    (load,) = planned_loads(*there)["loads"]
    assert (load["run_ids"], load["place"]) == ([run.id], "gpu1")
    assert [load[name] for name in ("start_s", "end_s", "cost", "saved_s")] == [None] * 4
    (card,) = queue_now(*there, 10, 0)["waiting"]
    assert (card["start_s"], card["end_s"], card["cost"]) == (None, None, None)


def test_earlier_runs_tell_when_the_next_ones_end_and_what_they_cost(there: There) -> None:
    for _ in range(3):
        made(there[0])
    first, second = run_of(there[0], queued=True), run_of(there[0], queued=True)
    plan = planned_loads(*there)
    (load,) = plan["loads"]
    assert load["run_ids"] == [first.id, second.id]
    assert (load["start_s"], load["end_s"], load["saved_s"]) == (0, 260, 60)
    assert load["end_p90_s"] >= 260
    assert load["cost"] == plan["cost"] == pytest.approx(2.6)
    one, two = queue_now(*there, 10, 0)["waiting"]
    assert (one["shares"], two["shares"]) == ([second.id], [first.id])
    assert (one["end_s"], two["end_s"], one["cost"]) == (160, 260, 1.3)
    (only,) = queue_now(*there, 1, 1)["waiting"]
    assert (only["id"], only["position"], only["end_s"]) == (second.id, 2, 260)


def test_of_loads_that_start_together_the_one_with_the_first_run_is_the_first(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path / "home", "[execution]\nlocal_slots = 2\n")
    with Catalog.open(settings.catalog_url) as catalog:
        passes = {**CITY, "depth": {**CITY["color"], "file": "depth.mp4"}}
        catalog.put_scene("city", "inputs/videos/city", "d", passes)
        config, prompt = {"weights": {"depth": 1.0}}, add_prompt(catalog)
        row: dict[str, Any] = {"prompt_id": prompt.id, "queued": True}
        runs = [catalog.add_run("transfer", "preview", "local", config, **row) for _ in range(13)]
        loads = planned_loads(catalog, settings)["loads"]
        waiting = [card["id"] for card in queue_now(catalog, settings, 20, 0)["waiting"]]
    assert len(loads) == 2
    assert loads[0]["run_ids"][0] == waiting[0] == runs[0].id


def test_behind_a_run_of_which_nothing_is_known_no_time_is_said(there: There) -> None:
    made(there[0])
    working = there[0].add_run("upscale", "cosmos_transfer1", "gpu1", {})
    assert there[0].claim(working.id, "p") and there[0].advance(
        working.id, "p", "uploading", "running"
    )
    run_of(there[0], queued=True)
    (load,) = planned_loads(*there)["loads"]
    assert (load["start_s"], load["end_s"]) == (None, None)


def test_what_runs_has_a_lane_and_what_waits_starts_behind_it(there: There) -> None:
    for _ in range(3):
        made(there[0])
    working, sent = run_of(there[0]), run_of(there[0])
    for run in (working, sent):
        assert there[0].claim(run.id, "p")
    assert there[0].advance(working.id, "p", "uploading", "running", host="192.0.2.1")
    run_of(there[0], queued=True)
    plan = planned_loads(*there)
    gpu = {"place": "gpu1", "number": 1, "of": 1}
    assert gpu in plan["lanes"]
    one, two = plan["active"]
    assert (one["run_ids"], one["started"], one["start_s"]) == ([working.id], True, 0)
    assert (two["run_ids"], two["started"], two["start_s"]) == ([sent.id], False, one["end_s"])
    assert one["cost"] == pytest.approx(1.6)
    (load,) = plan["loads"]
    assert load["lanes"] == one["lanes"] == two["lanes"] == [plan["lanes"].index(gpu)]
    assert load["start_s"] == two["end_s"] == pytest.approx(320, abs=2)
    assert load["start_p90_s"] > load["start_s"]


def test_a_run_that_is_downloaded_has_no_gpu_any_more(there: There) -> None:
    for _ in range(3):
        made(there[0])
    run = run_of(there[0])
    assert there[0].claim(run.id, "p")
    assert there[0].advance(run.id, "p", "uploading", "running", host="192.0.2.1")
    assert there[0].advance(run.id, "p", "running", "downloading")
    run_of(there[0], queued=True)
    plan = planned_loads(*there)
    assert plan["active"] == []
    assert plan["loads"][0]["start_s"] == 0


def test_of_a_long_queue_only_what_is_planned_and_shown_is_read(tmp_path: Path) -> None:
    project = make_project(tmp_path / "home")
    fill(project, n_scenes=5, n_waiting=MOST + 1500, n_ended=0)
    there = project.catalog, project.settings
    with counting(project.settings) as counts:
        plan = planned_loads(*there)
    assert counts["run row"] == MOST
    assert plan["not_planned"] == 1500
    assert sum(len(load["run_ids"]) for load in plan["loads"]) == MOST
    with counting(project.settings) as counts:
        found = queue_now(*there, 100, MOST + 1400)
    assert counts["run row"] == MOST + 100
    assert [run["position"] for run in found["waiting"]] == [*range(MOST + 1401, MOST + 1501)]
    assert found["waiting"][0]["start_s"] is None
    with counting(project.settings) as counts:
        queue_now(*there, 100, 0)
    assert counts["run row"] == 100
    project.catalog.close()
