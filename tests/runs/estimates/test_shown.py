"""Times and money are told before a run, in the queue, and beside the truth afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.runs.looks import Looks
from cosmos_pipelines.runs.plan import plan_transfer, plan_upscale_of
from tests.support.project import settings_in, write_video
from tests.support.review_page import review_page, visitor

TOML = """
[execution]
engine = "cosmos_transfer1"
[hosts.big]
host = "10.0.0.2"
price_per_gpu_hour = 3.6
[queue]
currency = "EUR"
"""
TOOK = {"seconds": 900, "load_s": 100, "load_runs": 1, "gpu_hour": 3.6, "currency": "EUR"}
LATER = {"expected_s": 800.0, "expected_p90_s": 950.0, "expected_by": "place",
         "upload_s": 12.0, "download_s": 3.0, "waited_s": 60.0}  # fmt: skip


@pytest.fixture
def api(tmp_path: Path) -> Iterator[CosmosAPI]:
    """A project with a host that has a price, and a run that was made there."""
    settings = settings_in(tmp_path / "home", TOML)
    for name in ("color", "depth", "segmentation", "edge", "vis"):
        write_video(settings.inputs / "city" / f"{name}.mp4", frames=12, width=160, height=96)
    with CosmosAPI(settings=settings) as api:
        yield api


def a_run(api: CosmosAPI, prompt: str, **timing: Any) -> str:
    """A completed run of this prompt that took so long."""
    return ended(api, api.create_run(prompt, backend="big")["id"], **timing)


def ended(api: CosmosAPI, run: str, **timing: Any) -> str:
    """Complete a run."""
    catalog = api.catalog
    assert catalog.claim(run, "us")
    assert catalog.advance(run, "us", "uploading", "running", host="10.0.0.2")
    assert catalog.advance(run, "us", "running", "downloading")
    outputs = {"video": "v", "timing": {**TOOK, **timing}}
    assert catalog.advance(run, "us", "downloading", "completed", outputs=outputs)
    return run


def test_time_and_money_stand_in_the_plan_the_queue_and_beside_the_truth(api: CosmosAPI) -> None:
    prompt = api.create_prompt("A street", api.settings.inputs / "city")["id"]
    assert api.plan_order([prompt], backend="big")["money"] is None
    costs = api.plan_inference([prompt], backend="big")[0]["order"]["costs"]
    (cost,) = costs.values()
    made = a_run(api, prompt, **cost, **LATER)
    other = api.create_prompt("A street in rain", api.settings.inputs / "city")["id"]
    plan = api.plan_order([prompt, other], backend="big")
    (load,) = plan["loads"]
    assert (plan["seconds"], plan["money"], plan["currency"]) == (1900, 1.9, "EUR")
    assert (load["upload_s"], load["waited_s"], load["basis"]) == (12, 60, "place")
    assert plan["p90_s"] > 1900
    assert load["said"]["money"].startswith("about 1.90 EUR, 9 of 10 times at most ")
    assert load["said"]["checked"] == "0 of the last 1 runs ended within what was told"
    again = api.plan_orders("again", [made])
    assert again["total"].startswith(
        "about 16 min 40 s (9 of 10 times at most 24 min 13 s), about 1.00"
    )
    waiting = api.create_run(prompt, backend="big", queue=True)["id"]
    (card,) = api.look_at_queue()["waiting"]
    assert (card["whole_s"], card["estimate"]["money"]) == (1000, 1.0)
    assert card["whole_p90_s"] > 1000
    assert api.show(waiting)["costs"]["money"].startswith("about 1.00 EUR")
    run = api.catalog.get_run(waiting)
    seen = Looks(api.catalog, api.settings, [run], lambda *_: None).waiting(run)
    assert (seen.seconds, seen.load_s) == (900, 100)  # what the planner is told
    assert api.show(made)["costs"] == {
        "expected": "about 13 min 20 s, 9 of 10 times at most 15 min 50 s",
        "took": "16 min 40 s; 1 min 40 s of it to load",
        "transfer": "upload 12 s, download 3 s",
        "waited": "1 min 00 s",
        "money": "1.00 EUR",
    }
    rows = {row["name"]: row["value"] for row in api.run_sheet(made)["cost"]}
    assert rows["money"] == "1.00 EUR"
    with review_page(api, alone=True) as url, closing(visitor(url)) as client:
        order = {"prompts": [prompt, other], "seeds": "", "backend": "big", "recipes": []}
        html = client.post("/cosmos/order/plan", json=order).json()["html"]
        assert "about 31 min 40 s" in html
        assert "about 1.90 EUR" in html
        assert "1.00 EUR" in client.get("/cosmos/queue/runs").text
        assert "16 min 40 s; 1 min 40 s of it to load" in client.get(f"/cosmos/run/{made}").text


def test_an_order_with_its_4k_is_told_with_the_time_and_the_money_of_both(api: CosmosAPI) -> None:
    prompt = api.create_prompt("A street", api.settings.inputs / "city")["id"]
    project = api.catalog, api.settings
    video = plan_transfer(*project, prompt, {})
    for plan in (video, plan_upscale_of(api.settings, video)):
        cost = plan.engine.cost(plan.job)
        assert cost is not None
        kind = plan.job.operation.model_type
        run = api.catalog.add_run(kind, plan.engine.name, "big", {}, prompt_id=prompt)
        ended(api, run.id, **cost.model_dump())
    alone = api.plan_order([prompt], backend="big")
    both = api.plan_order([prompt], backend="big", upscale=True)
    assert (alone["runs"], alone["seconds"], alone["money"]) == (1, 1000, 1.0)
    assert (both["runs"], both["seconds"], both["money"]) == (2, 2000, 2.0)
    assert [load["runs"] for load in both["loads"]] == [1, 1]
