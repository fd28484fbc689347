"""The loads to come as a person looks at them: by what earlier runs took, at a price."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operate.queue import planned_loads, queue_now
from cosmos_pipelines.settings import Settings
from tests.catalog.rows import add_prompt
from tests.runs.test_remaining import CITY
from tests.support.project import settings_in

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


def run_of(catalog: Catalog, *, queued: bool = False) -> Run:
    """A video of the city on the host; all differ in nothing."""
    config = {"num_steps": 35, "weights": {"depth": 1.0}}
    prompt = add_prompt(catalog)
    row = {"prompt_id": prompt.id, "queued": queued}
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


def test_behind_a_run_of_which_nothing_is_known_no_time_is_said(there: There) -> None:
    made(there[0])
    working = there[0].add_run("upscale", "cosmos_transfer1", "gpu1", {})
    assert there[0].claim(working.id, "p") and there[0].advance(
        working.id, "p", "uploading", "running"
    )
    run_of(there[0], queued=True)
    (load,) = planned_loads(*there)["loads"]
    assert (load["start_s"], load["end_s"]) == (None, None)
