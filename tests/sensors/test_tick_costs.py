"""A tick costs what has changed: with 2,000 scenes, 2,000 waiting and 20,000 ended runs.

Statements, rows and looks are counted. benchmarks/bench_ticks.py measures the time, with five times
as many.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg
import pytest

from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.sensors.catalog_sync import catalog_sync
from cosmos_pipelines.sensors.up_to_date import IN_TURN, up_to_date
from tests.support.counting import counting
from tests.support.dagster_project import synced, tick
from tests.support.many import fill
from tests.support.project import Project, make_project

pytestmark = pytest.mark.xdist_group("many")  # one worker makes the rows, once
SCENES, WAITING, ENDED = 2_000, 2_000, 20_000
ROUND = SCENES // IN_TURN + 1
"""Ticks in which each scene is looked at."""
FINISHED = f"rs_{0:032x}"
"""A completed transfer."""


@dataclass
class Many:
    """A project with many rows, its instance, and the cursors of sensors that have read all."""

    project: Project
    instance: dg.DagsterInstance
    at: str
    cursors: dict[str, str | None] = field(default_factory=dict)

    def ticked(self, sensor: dg.SensorDefinition) -> tuple[object, Counter[str]]:
        """What one more tick of a sensor says, and what it costs."""
        quiet = json.dumps({"at": self.at, "sets": 1, "files": {}})
        cursor = self.cursors.get(sensor.name, quiet)
        with counting(self.project.settings) as counts:
            result, self.cursors[sensor.name] = tick(self.project, sensor, self.instance, cursor)
        return result, counts


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    project = make_project(tmp_path_factory.mktemp("many") / "home")
    at = fill(project, n_scenes=SCENES, n_waiting=WAITING, n_ended=ENDED)
    with open_instance(project.settings, captures=False) as instance:
        yield Many(project, instance, at)


def test_catalog_sync_asks_nine_times_and_reads_no_row_if_nothing_changed(many: Many) -> None:
    for _ in range(3):
        result, counts = many.ticked(catalog_sync)
        assert isinstance(result, dg.SkipReason)
        assert counts["statement"] <= 9
        assert counts["scene row"] + counts["run row"] + counts["probe"] == 0


def test_up_to_date_looks_at_the_next_scenes_only_if_nothing_changed(many: Many) -> None:
    for _ in range(3):
        result, counts = many.ticked(up_to_date)
        assert isinstance(result, dg.SkipReason)
        assert counts["statement"] <= 10
        assert counts["scene row"] == counts["look for a scene"] == IN_TURN
        assert counts["run row"] + counts["probe"] == 0


def test_every_scene_is_looked_at_in_turn(many: Many) -> None:
    lost = many.project.settings.inputs / f"scene_{SCENES - 1:05}"
    lost.rmdir()
    asked = []
    for _ in range(ROUND):
        result, counts = many.ticked(up_to_date)
        assert counts["look for a scene"] <= IN_TURN
        if isinstance(result, dg.SensorResult):
            (request,) = result.run_requests or []
            asked.append(request.run_config["ops"]["compare_again"]["config"]["scenes"])
    assert asked == [[lost.name]]


def test_a_run_that_changed_costs_no_other_run(many: Many) -> None:
    many.project.catalog.rate(FINISHED, 5)
    _, counts = many.ticked(catalog_sync)
    assert (counts["run row"], counts["scene row"]) == (1, 0)
    assert counts["statement"] <= 10
    _, counts = many.ticked(up_to_date)
    assert counts["run row"] == 1
    assert counts["scene row"] <= IN_TURN + 1
    assert counts["statement"] <= 12


def test_to_record_a_run_reads_its_own_scene_only(many: Many) -> None:
    project = many.project
    run = project.catalog.list_runs("pending", limit=1)[0]
    with counting(project.settings) as counts:
        record(many.instance, project.catalog, project.settings, run)
    assert (counts["scene row"], counts["run row"], counts["probe"]) == (1, 0, 0)
    assert counts["statement"] <= 4


def test_the_keys_that_an_earlier_version_lacks_come_in_one_tick(many: Many) -> None:
    old = json.dumps({"at": many.at, "later": []})
    synced(many.project, many.instance, old)
    finished = many.project.catalog.ids_with_video()
    assert len(finished) > SCENES
    assert many.instance.get_dynamic_partitions("videos_to_upscale") == finished
    assert len(many.instance.get_dynamic_partitions("prompts_to_enhance")) == SCENES
