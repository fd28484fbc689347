"""What is kept of how long a run took, beside what had been expected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.operate.costs import costs_of
from cosmos_pipelines.operations import Order
from cosmos_pipelines.runs.enter import enter_all
from cosmos_pipelines.runs.estimates.money import Price
from cosmos_pipelines.runs.estimates.record import timing_of
from cosmos_pipelines.runs.plan import plan_transfer
from tests.runs.estimates.test_model import COST, order
from tests.runs.test_finished_work import execute, pending, project
from tests.support.dagster_project import add_prompt
from tests.support.project import Project, make_project

__all__ = ["project"]

TIMES = {"seconds", "load_s", "load_runs", "upload_s", "download_s"}
EXPECTED = {"expected_s", "expected_p90_s", "expected_by"}


def test_what_is_expected_of_a_run_is_kept_from_its_start_and_its_times_from_its_end(
    project: Project,
) -> None:
    (first,) = execute(project, *pending(project, "one"))
    assert first.outputs["timing"].keys() >= TIMES
    assert not EXPECTED & first.outputs["timing"].keys()
    seen: list[Run] = []
    runs = pending(project, "two", "three")
    ended = execute(
        project, *runs, on_completed=lambda _: seen.append(project.catalog.get_run(runs[1].id))
    )
    took = first.outputs["timing"]["seconds"] + first.outputs["timing"]["load_s"]
    assert seen[0].status == "running"
    assert seen[0].outputs["expected_s"] == pytest.approx(took, abs=0.2)
    for run in ended:
        timing = run.outputs["timing"]
        assert timing.keys() >= TIMES | EXPECTED
        assert timing["expected_s"] == seen[0].outputs["expected_s"]
        assert (timing["expected_by"], timing["load_runs"]) == ("place", 2)
        assert "expected_s" not in run.outputs
        told = costs_of(project.catalog, project.settings, run)
        assert {"expected", "took", "transfer"} <= told.keys()


def test_a_failed_run_has_no_times_and_its_next_attempt_expects_anew(project: Project) -> None:
    execute(project, *pending(project, "one"))
    (run,) = execute(project, *pending(project, "two [sim:blocked bleeding]"))
    assert run.status == "failed"
    assert "timing" not in run.outputs
    assert not EXPECTED & run.outputs.keys()


def test_a_run_that_waited_in_the_queue_says_how_long(project: Project) -> None:
    catalog, settings = project.catalog, project.settings
    planned = plan_transfer(catalog, settings, add_prompt(project, "one").id, {})
    (run,) = enter_all(catalog, settings, [planned], queued=True)
    (run,) = execute(project, run)
    assert run.outputs["timing"]["waited_s"] >= 0
    assert "waited" in costs_of(catalog, settings, run)


def test_a_record_names_only_what_somebody_told(project: Project) -> None:
    (run,) = pending(project, "one")
    named: Order = order(COST).model_copy(update={"costs": {run.id: COST}, "run_ids": (run.id,)})
    record = {"loads": 1, "samples": {run.id: {"seconds": 12.5, "load_s": 3.0, "load": 1}}}
    own = {"seconds": 12.5, "load_s": 3.0, "load_runs": 1}
    assert timing_of(record, named, run, {}, None) == {"timing": own | COST}
    price = {"gpu_hour": 2.5, "currency": "EUR"}
    assert timing_of(record, named, run, {"upload_s": 1.26}, Price(2.5, "EUR")) == {
        "timing": own | COST | {"upload_s": 1.3} | price
    }
    assert timing_of({}, named, run, {}, None) == {"timing": COST}
    assert timing_of({}, order(costs={}), run, {}, None) == {}


def test_what_a_waiting_run_will_take_is_shown(project: Project) -> None:
    execute(project, *pending(project, "one"))
    (waiting,) = pending(project, "two")
    told = costs_of(project.catalog, project.settings, waiting)
    assert told["time"].endswith("from 1 run in the same place")


def test_nothing_is_told_of_a_run_of_which_nothing_is_known(tmp_path: Path) -> None:
    made = make_project(tmp_path / "home")
    run = made.catalog.add_run("upscale", "gone_engine", "nowhere", {"odd": 1}, source={})
    assert costs_of(made.catalog, made.settings, run) == {}
    made.catalog.close()


@pytest.mark.parametrize("timing", [[1], "long", {"seconds": "much", "load_s": None}], ids=repr)
def test_a_record_of_another_shape_is_no_error_where_a_run_is_shown(
    project: Project, timing: object
) -> None:
    (run,) = pending(project, "one")
    odd = replace(run, status="completed", outputs={"video": "v", "timing": timing})
    assert costs_of(project.catalog, project.settings, odd) == {}
