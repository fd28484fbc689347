from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.new_run import new_run
from cosmos_pipelines.catalog.pauses import engine_scope, place_scope
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import Run, utc_now
from cosmos_pipelines.errors import CosmosError, InputError, StateError
from tests.support.together import together

MANY = 200
FOUR = 4


def add(catalog: Catalog, number: int = 1, *, backend: str = "local", **row: object) -> list[Run]:
    rows = [new_run("transfer", "preview", backend, {"seed": n}, **row) for n in range(number)]  # type: ignore[arg-type]
    return catalog.add_runs(rows, queued=True)


def wanted(*runs: Run, place: str = "local") -> NewLoad:
    return NewLoad(place, "preview", runs[0].model_type, tuple(run.id for run in runs))


def ready(catalog: Catalog) -> list[str]:
    return [run.id for run in catalog.ready_runs()]


def test_a_run_is_in_one_load_only(catalog: Catalog) -> None:
    first, second, third = add(catalog, 3)
    taken = catalog.claim_load(wanted(first, second), "a")
    assert taken is not None and taken.run_ids == [first.id, second.id]
    rest = catalog.claim_load(wanted(second, third), "b")
    assert rest is not None and rest.run_ids == [third.id]
    assert catalog.claim_load(wanted(first), "b") is None
    assert ready(catalog) == []


def test_the_runs_of_a_dead_dispatcher_wait_again(catalog: Catalog) -> None:
    (run,) = add(catalog, backend="auto")
    load = catalog.claim_load(wanted(run), "a", lease_s=-1)
    assert load is not None and catalog.get_run(run.id).backend == "local"
    assert catalog.end_dead_loads() == [load.id]
    assert ready(catalog) == [run.id] and catalog.get_run(run.id).backend == "auto"
    assert catalog.renew_loads([load.id], "a") == set()
    assert not catalog.start_load(load.id, "a")


@pytest.mark.parametrize("scope", ["all", place_scope("local"), engine_scope("preview")])
def test_of_what_is_paused_nothing_is_taken_and_nothing_is_started(
    catalog: Catalog, scope: str
) -> None:
    run, other = add(catalog, 2)
    load = catalog.claim_load(wanted(other), "a")
    assert load is not None
    pause = catalog.pause(scope, "ann@desk", "the host is needed")
    assert catalog.list_pauses() == [pause]
    assert ready(catalog) == [] and catalog.claim_load(wanted(run), "a") is None
    assert not catalog.start_load(load.id, "a")
    assert catalog.resume(scope) and not catalog.resume(scope)
    assert catalog.start_load(load.id, "a") and ready(catalog) == [run.id]


def test_a_run_that_nothing_was_begun_of_is_given_back(catalog: Catalog) -> None:
    (run,) = add(catalog, backend="auto")
    load = catalog.claim_load(wanted(run), "a")
    assert load is not None
    assert catalog.claim(run.id, "p", load="ld_other") is None
    assert catalog.claim(run.id, "p", load=load.id)
    assert catalog.give_back(run.id, "q") is None
    back = catalog.give_back(run.id, "p")
    assert back and (back.status, back.backend, back.attempt) == ("pending", "auto", 1)
    assert ready(catalog) == [run.id]


def test_old_ended_loads_are_removed_and_no_run_that_waits_or_works_loses_its_load(
    catalog: Catalog,
) -> None:
    runs = add(catalog, 4)
    over, working, waiting, young = (catalog.claim_load(wanted(run), "us") for run in runs)
    assert over and working and waiting and young
    for run, load in ((runs[0], over), (runs[1], working)):
        assert catalog.claim(run.id, "us", load=load.id)
    assert catalog.advance(runs[0].id, "us", "uploading", "cancelled")
    for load in (over, working):
        catalog.end_load(load.id)
    now = utc_now()
    catalog.end_load(young.id)
    assert catalog.old_loads(now, 10) == [over.id]
    assert catalog.old_loads(now, 0) == []
    everything = [load.id for load in (over, working, waiting, young)]
    assert catalog.remove_loads(everything, now) == [over.id]
    assert catalog.find_loads(everything).keys() == {working.id, waiting.id, young.id}
    assert catalog.get_run(runs[0].id).load_id == over.id


def test_a_4k_waits_for_its_video_and_fails_with_it(catalog: Catalog) -> None:
    video, lost = add(catalog, 2)
    larger = [
        catalog.add_run("upscale", "preview", "local", {}, parent_run_id=run.id, queued=True)
        for run in (video, lost)
    ]
    assert ready(catalog) == [video.id, lost.id]
    for run, status in (video, "completed"), (lost, "failed"):
        assert catalog.claim(run.id, "p")
        steps = ["running", "downloading", "completed"] if status == "completed" else ["failed"]
        before = "uploading"
        for step in steps:
            fields = {"outputs": {"video": "v"}} if step == "completed" else {}
            fields |= {"error_kind": "timeout"} if step == "failed" else {}
            assert catalog.advance(run.id, "p", before, step, **fields)  # type: ignore[arg-type]
            before = step
    assert ready(catalog) == [larger[0].id]
    assert catalog.end_dependents(lambda parent: parent.id == lost.id) == []
    (failed,) = catalog.end_dependents()
    assert (failed.id, failed.error_kind) == (larger[1].id, "parent_failed")
    assert catalog.end_dependents() == []


def test_a_higher_priority_is_earlier_and_requests_share(catalog: Catalog) -> None:
    many = add(catalog, 3)
    (one,) = add(catalog)
    (urgent,) = add(catalog, priority=1)
    assert ready(catalog) == [urgent.id, many[0].id, one.id, many[1].id, many[2].id]


def test_moves_between_the_same_two_never_run_out_of_room(catalog: Catalog) -> None:
    before, first, second, after = add(catalog, 4)
    for n in range(100):
        moved, other = (first, second) if n % 2 else (second, first)
        catalog.move_run(moved.id, before=after.id)
        assert ready(catalog) == [before.id, other.id, moved.id, after.id]


def test_runs_with_one_turn_can_be_moved_between_each_other(catalog: Catalog) -> None:
    many = add(catalog, 30)
    for run in many:  # all to the turn of the first one
        catalog.move_run(run.id, first=True)
    last = many[0]
    for run in many[1:]:
        catalog.move_run(run.id, before=last.id)
    assert ready(catalog) == [*(run.id for run in many[1:]), last.id]


def test_a_move_that_cannot_be_is_refused_in_one_line(catalog: Catalog) -> None:
    one, two, ended, taken = add(catalog, 4)
    (idle,) = [catalog.add_run("transfer", "preview", "local", {})]
    catalog.cancel_pending(ended.id)
    assert catalog.claim_load(wanted(taken), "a")
    refused: list[tuple[type[CosmosError], str, dict[str, object], str]] = [
        (InputError, one.id, {}, "one of first, before and priority"),
        (InputError, one.id, {"first": True, "priority": 1}, "one of first, before and priority"),
        (InputError, one.id, {"before": one.id}, "before itself"),
        (InputError, one.id, {"priority": 101}, "-100 to 100"),
        (StateError, one.id, {"before": ended.id}, "is cancelled"),
        (StateError, ended.id, {"first": True}, "is cancelled"),
        (StateError, one.id, {"before": taken.id}, "about to start"),
        (StateError, taken.id, {"priority": 3}, "about to start"),
        (StateError, idle.id, {"first": True}, "not put into the queue"),
        (InputError, one.id, {"before": "rs_unknown"}, "rs_unknown"),
    ]
    for kind, run_id, how, said in refused:
        with pytest.raises(kind, match=said):
            catalog.move_run(run_id, **how)  # type: ignore[arg-type]
    assert ready(catalog) == [one.id, two.id]


def take(number: int, url: str, place: str) -> None:
    """Take loads and complete their runs until all are; the last process dies in a load."""
    mine: list[str] = []
    with Catalog.open(url) as catalog:
        while catalog.count_by_status()["completed"] < MANY:
            first = catalog.ready_runs(8)[: 1 + number]
            lease_s = 0.2 if number == FOUR - 1 else 60.0
            load = catalog.claim_load(wanted(*first), f"{number}", lease_s) if first else None
            if load is None:
                continue
            if number == FOUR - 1:
                return
            assert catalog.start_load(load.id, f"{number}")
            for run_id in load.run_ids:
                assert catalog.claim(run_id, f"{number}", load=load.id)
                mine.append(run_id)
                assert catalog.advance(run_id, f"{number}", "uploading", "running")
                assert catalog.advance(run_id, f"{number}", "running", "downloading")
                end = {"outputs": {"video": "v"}}
                assert catalog.advance(run_id, f"{number}", "downloading", "completed", **end)
            catalog.end_load(load.id)
    (Path(place) / f"{number}.json").write_text(json.dumps(mine))


def test_four_processes_take_each_of_many_runs_once_though_one_dies(
    catalog: Catalog, tmp_path: Path
) -> None:
    runs = add(catalog, MANY)
    url = catalog.url.render_as_string(hide_password=False)
    assert together(f"{__name__}:take", url, tmp_path, count=FOUR) == [0] * FOUR
    taken = [json.loads(file.read_text()) for file in tmp_path.glob("*.json")]
    times = Counter(run_id for mine in taken for run_id in mine)
    assert times == Counter(run.id for run in runs)
    assert {run.attempt for run in catalog.find_runs(times).values()} == {1}
