"""What is asked of a large project costs no more than its answer needs: counted, not timed."""

from __future__ import annotations

import json
import subprocess
import sys

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.ids import new_run_id
from cosmos_pipelines.runs.inputs import register_prompt
from tests.support.counting import counting
from tests.support.many_runs import copy_run
from tests.support.project import Project


def _queued(project: Project, number: int) -> list[str]:
    """That many waiting runs."""
    prompt, _ = register_prompt(project.catalog, project.settings, "fog", "city")
    with CosmosAPI(project.settings.home) as cosmos:
        cosmos.create_run(prompt.id, engine="stand_in", queue=True)
    (run,) = project.catalog.list_runs()
    copy_run(project.catalog, run, number)
    return [run.id for run in project.catalog.queued_runs(None)]


def test_stopping_thousands_of_waiting_and_unknown_runs_asks_as_often_as_for_a_few(
    staged: Project,
) -> None:
    waiting = _queued(staged, 640)

    def stopped(known: list[str], unknown: int) -> int:
        ids = [*known, *(new_run_id() for _ in range(unknown))]
        with CosmosAPI(staged.settings.home) as cosmos, counting(staged.settings) as counts:
            answer = cosmos.stop_runs(ids)
        assert sorted(answer["stopped"]) == sorted(known)
        assert [one["id"] for one in answer["refused"]] == ids[len(known) :]
        assert all("There is no run" in one["error"] for one in answer["refused"])
        return counts["statement"]

    assert stopped(waiting[:3], 2) == stopped(waiting[3:300], 200)
    with CosmosAPI(staged.settings.home) as cosmos, counting(staged.settings) as counts:
        assert len(cosmos.kill(all=True)) == 341
    assert counts["statement"] < 20


def test_the_page_of_a_run_is_told_without_dagster(staged: Project) -> None:
    run = _queued(staged, 1)[0]
    program = (
        "import json, sys\n"
        "from cosmos_pipelines.api import CosmosAPI\n"
        "with CosmosAPI(sys.argv[1]) as cosmos:\n"
        "    told = cosmos.story(sys.argv[2])\n"
        "print(json.dumps(['dagster' in sys.modules, told['above']]))\n"
    )
    words = [sys.executable, "-c", program, str(staged.settings.home), run]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    imported, above = json.loads(done.stdout)
    assert not imported
    assert {(one["asset"], one["partition"]) for one in above} >= {("scenes", "city")}


def test_the_older_videos_of_a_scene_are_told_with_as_few_statements_as_one(
    staged: Project,
) -> None:
    prompt, _ = register_prompt(staged.catalog, staged.settings, "fog", "city")
    with CosmosAPI(staged.settings.home) as cosmos:
        cosmos.create_run(prompt.id, engine="stand_in", queue=True)
    (run,) = staged.catalog.list_runs()
    outputs = {"video": "outputs/none.mp4", "inputs": {"color": "another"}}
    older = {"status": "completed", "outputs": outputs}

    def statements(number: int) -> int:
        with CosmosAPI(staged.settings.home) as cosmos, counting(staged.settings) as counts:
            assert len(cosmos.older_videos("city")) == number
        return counts["statement"]

    copy_run(staged.catalog, run, 1, **older)
    few = statements(1)
    copy_run(staged.catalog, run, 300, **older)
    assert statements(301) == few
