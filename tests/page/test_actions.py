"""What the page can do with runs: its requests, without a browser."""

from __future__ import annotations

import csv
import io
import json
import threading
from typing import Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import CosmosError, InputError
from tests.page.conftest import Gallery
from tests.support import web

NOBODY = "rs_" + "0" * 32
NOON, RAIN = ("noon", "soft"), ("rain", "soft")


@pytest.fixture
def ask(gallery: Gallery) -> Any:
    """Send an action as a page of ours does; returns status and JSON."""
    page = web.get(f"{gallery.url}/cosmos/").text
    token = page.split('name="cosmos-token" content="')[1].split('"')[0]
    headers = {"X-Cosmos-Token": token, "Accept": "application/json", "Origin": gallery.url}

    def send(path: str, **data: Any) -> tuple[int, Any]:
        answer = web.post(
            f"{gallery.url}/cosmos/runs/{path}", json=data, headers=headers, timeout=60
        )
        return answer.status_code, answer.json()

    return send


def test_of_many_runs_the_unknown_ones_are_named_and_the_others_changed(
    gallery: Gallery, ask: Any
) -> None:
    run_id = gallery.videos[NOON]
    for path, data in (
        ("rate", {"rating": 4}),
        ("tag", {"add": ["night"]}),
        ("verdict", {"verdict": "picked"}),
    ):
        status, done = ask(path, ids=[NOBODY, run_id], **data)
        assert (status, done["changed"], [f["id"] for f in done["failed"]]) == (200, 1, [NOBODY])
    state = web.get(f"{gallery.url}/cosmos/runs/state", params={"ids": f"{run_id},{NOBODY}"})
    marks = {
        "status": "completed",
        "rating": 4,
        "verdict": "picked",
        "tags": ["batch:first", "night"],
    }
    assert state.json() == {run_id: marks}
    assert gallery.api.show(run_id)["tags"] == ["batch:first", "night", "picked"]


def test_a_change_goes_back_by_what_it_returned(gallery: Gallery, ask: Any) -> None:
    ids = [*gallery.videos.values()]
    gallery.api.rate(ids[0], 5)
    before = gallery.api.marks(ids)
    steps = [
        ask("rate", ids=ids, rating=2)[1]["undo"],
        ask("verdict", ids=ids, verdict="picked")[1]["undo"],
        ask("verdict", ids=ids, verdict="rejected")[1]["undo"],
    ]
    assert {marks["verdict"] for marks in gallery.api.marks(ids).values()} == {"rejected"}
    for step in reversed(steps):
        assert ask("undo", undo=step)[1]["failed"] == []
    assert gallery.api.marks(ids) == before


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("rate", {"ids": ["rs_1"], "rating": 6}),
        ("rate", {"ids": ["rs_1"]}),
        ("rate", {"ids": 3, "rating": 1}),
        ("rate", {"ids": ["rs_1"] * 10_001, "rating": 1}),
        ("tag", {"ids": ["rs_1"], "add": [""]}),
        ("verdict", {"ids": ["rs_1"], "verdict": "good"}),
        ("undo", {"undo": [{"ids": ["rs_1"], "rating": [9, 1], "added": [], "removed": []}]}),
        ("undo", {"undo": [{"ids": "rs_1"}]}),
        ("order", {"what": "delete", "ids": []}),
        ("delete", {"ids": ["rs_1"]}),
        ("export", {"ids": ["rs_1"], "form": "exe"}),
    ],
)
def test_a_request_that_says_nothing_usable_is_refused_in_words(
    ask: Any, path: str, data: dict[str, Any]
) -> None:
    status, said = ask(path, **data)
    assert status == 400
    assert said["error"]


def test_4k_is_ordered_once_and_each_refusal_is_one_line(gallery: Gallery, ask: Any) -> None:
    ids = [*gallery.videos.values(), gallery.enhanced, gallery.larger, NOBODY]
    refused = [gallery.videos[NOON], gallery.enhanced, gallery.larger, NOBODY]
    _, plan = ask("plan", what="upscale", ids=ids)
    assert (plan["runs"], [r["id"] for r in plan["refused"]]) == (3, refused)
    assert plan["engines"] == [{"label": plan["engines"][0]["label"], "simulated": True}]
    assert "has a 4K already" in plan["refused"][0]["error"]
    assert all("\n" not in r["error"] for r in plan["refused"])
    _, done = ask("order", what="upscale", ids=ids)
    assert [r["id"] for r in done["refused"]] == refused
    assert "until the daemon runs" in done["starts"]
    made = [gallery.api.get_run(new) for new in done["made"].values()]
    assert {(r["status"], r["model_type"], r["queued_at"] is None) for r in made} == {
        ("pending", "upscale", False)
    }
    assert ask("order", what="upscale", ids=ids)[1]["made"] == {}
    assert sorted(ask("cancel", ids=[r["id"] for r in made])[1]["cancelled"]) == sorted(
        done["made"].values()
    )
    assert len(ask("order", what="upscale", ids=ids)[1]["made"]) == 3  # the first were cancelled


@pytest.mark.parametrize("what", ["upscale", "enhance", "again"])
def test_the_same_order_at_the_same_moment_is_made_once(gallery: Gallery, what: str) -> None:
    run_id, made, together = gallery.videos[RAIN], list[str](), threading.Barrier(4)

    def order() -> None:
        with CosmosAPI(gallery.api.settings.home) as api:
            together.wait()
            made.extend(api.order_runs(what, [run_id])["made"].values())

    threads = [threading.Thread(target=order) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert [run["id"] for run in gallery.api.list_runs(status="pending")] == made


def test_again_has_the_next_seed_and_no_verdict_of_the_first(gallery: Gallery) -> None:
    run_id = gallery.videos["noon", "hard"]
    gallery.api.tag(run_id, ["rejected", "hero"])
    (new,) = gallery.api.order_runs("again", [run_id])["made"].values()
    run, old = gallery.api.get_run(new), gallery.api.get_run(run_id)
    assert run["execution_config"] == {**old["execution_config"], "seed": 8}
    assert (run["recipe"], run["tags"]) == ("hard", ["batch:first"])
    assert gallery.api.order_runs("again", [gallery.larger])["made"] == {}


def test_runs_of_one_prompt_get_one_enhancement(gallery: Gallery) -> None:
    ids = [gallery.videos["rain", recipe] for recipe in ("soft", "hard")]
    assert gallery.api.plan_orders("enhance", ids)["same"] == 1
    assert len(gallery.api.order_runs("enhance", ids)["made"]) == 1
    (refused,) = gallery.api.order_runs("enhance", [gallery.videos[NOON]])["refused"]
    assert "was enhanced already" in refused["error"]


def test_a_deletion_is_seen_whole_before_and_takes_no_more_than_was_seen(
    gallery: Gallery, ask: Any
) -> None:
    parent, other = gallery.videos[NOON], gallery.videos[RAIN]
    _, plan = ask("plan-deletion", ids=[gallery.larger, parent, other, NOBODY])
    assert {run["id"] for run in plan["runs"]} == {parent, gallery.larger, other}
    assert (plan["count"], plan["bytes"]) == (
        len(plan["files"]),
        sum(file["bytes"] for file in plan["files"]),
    )
    assert {file["run"] for file in plan["files"]} == {parent, gallery.larger, other}
    assert [r["id"] for r in plan["refused"]] == [NOBODY]
    later = gallery.api.create_upscale(other)["id"]
    seen = [run["id"] for run in plan["runs"]]
    _, gone = ask("delete", ids=[parent, other], seen=seen)
    assert {*gone["deleted"]} == {parent, gallery.larger}
    assert later in gone["refused"][0]["error"]
    left = {run["id"] for run in gallery.api.list_runs(limit=None)}
    assert left == {later, gallery.enhanced, *gallery.videos.values()} - {parent}


def test_the_chosen_runs_are_exported_and_no_others(gallery: Gallery) -> None:
    ids = [gallery.videos[RAIN], gallery.videos[NOON]]
    read = json.loads(gallery.api.export_runs([*ids, NOBODY], "json"))
    assert read == [gallery.api.get_run(run_id) for run_id in ids]
    rows = list(csv.DictReader(io.StringIO(gallery.api.export_runs(ids, "csv"))))
    assert [row["id"] for row in rows] == ids


def test_a_rating_of_0_is_none(gallery: Gallery) -> None:
    run_id = gallery.videos[NOON]
    assert gallery.api.rate(run_id, 3)["rating"] == 3
    assert gallery.api.rate(run_id, 0)["rating"] is None
    with pytest.raises(InputError):
        gallery.api.rate(run_id, -1)
    with pytest.raises(CosmosError):
        gallery.api.rate(NOBODY, 0)


def test_a_run_that_is_made_again_begins_without_a_verdict(gallery: Gallery) -> None:
    run_id = gallery.videos[NOON]
    gallery.api.tag(run_id, ["rejected", "hero"])
    (new,) = gallery.api.run_again([run_id], queue=True)
    assert new["tags"] == ["batch:first", "hero"]
