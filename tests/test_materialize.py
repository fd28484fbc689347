"""Executing from this process, as `cosmos inference` does: the page knows everything."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from cosmos_pipelines.assets.partitions import PROMPTS, SCENES, UPSCALED, VIDEOS, latest
from cosmos_pipelines.assets.video_checks import CHECKS, Finding
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.materialize import materialize_lost, materialize_runs
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.plan import plan_upscale
from tests.support.dagster_project import add_prompt, add_run, metadata_of
from tests.support.processes import gone_owner
from tests.support.project import Project

ROOT = Path(__file__).resolve().parents[1]


def execute(project: Project, *runs: Run) -> list[Run]:
    return materialize_runs(project.catalog, project.settings, [run.id for run in runs])


def test_one_run_becomes_one_partition_with_everything_that_it_came_from(
    staged: Project, instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    (run,) = execute(staged, add_run(staged))
    assert run.status == "completed"
    assert run.id in metadata_of(instance, VIDEOS, run.id)["run"]
    assert run.prompt_id and latest(instance, PROMPTS, run.prompt_id)
    assert latest(instance, SCENES, "city")
    (dagster_run,) = instance.get_runs()
    assert dagster_run.status == dg.DagsterRunStatus.SUCCESS
    assert (dagster_run.run_id, dagster_run.tags["dagster/partition"]) == (
        run.dagster_run_id,
        run.id,
    )
    said = capfd.readouterr()
    assert said.out == ""
    assert "dagster" not in said.err


def test_several_runs_are_one_dagster_run(staged: Project, instance: dg.DagsterInstance) -> None:
    runs = execute(staged, add_run(staged, "one"), add_run(staged, "two"))
    assert [run.status for run in runs] == ["completed", "completed"]
    assert all(latest(instance, VIDEOS, run.id) for run in runs)
    (dagster_run,) = instance.get_runs()
    assert {run.dagster_run_id for run in runs} == {dagster_run.run_id}


def test_a_lost_run_is_brought_to_its_end_and_one_that_failed_meanwhile_is_not_started_again(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    lost, failed = add_run(staged, "one"), add_run(staged, "two")
    for run in (lost, failed):
        assert staged.catalog.claim(run.id, gone_owner())
    assert staged.catalog.advance(
        failed.id, gone_owner(), "uploading", "failed", error_kind="model_failed"
    )
    materialize_lost(staged.catalog, staged.settings, [lost.id, failed.id])
    ended = staged.catalog.get_runs([lost.id, failed.id])
    assert [(run.status, run.attempt) for run in ended] == [("completed", 1), ("failed", 1)]
    (dagster_run,) = instance.get_runs()
    assert dagster_run.status == dg.DagsterRunStatus.SUCCESS
    assert latest(instance, VIDEOS, lost.id)


def test_an_upscale_executes_the_run_that_was_registered(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    (parent,) = execute(staged, add_run(staged))
    planned = plan_upscale(staged.catalog, staged.settings, parent.id, {}, engine="stand_in")
    (run,) = execute(staged, enter(staged.catalog, staged.settings, planned))
    assert run.status == "completed"
    assert run.id in metadata_of(instance, UPSCALED, parent.id)["run"]
    assert len(staged.catalog.list_runs(model_type="upscale")) == 1


def test_a_failed_run_raises_nothing_and_says_so_on_the_page(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    (run,) = execute(staged, add_run(staged, "crash"))
    assert (run.status, run.error_kind) == ("failed", "model_failed")
    (dagster_run,) = instance.get_runs()
    assert dagster_run.status == dg.DagsterRunStatus.FAILURE


def test_completed_runs_cost_no_dagster_run(staged: Project, instance: dg.DagsterInstance) -> None:
    (run,) = execute(staged, add_run(staged))
    assert execute(staged, run) == [run]
    assert len(instance.get_runs()) == 1


def test_a_run_that_another_process_executes_is_refused(staged: Project) -> None:
    run = add_run(staged)
    assert staged.catalog.claim(run.id, "elsewhere:1:0")
    with pytest.raises(StateError, match="being executed"):
        execute(staged, run)


def test_the_lines_of_the_model_are_passed_on(staged: Project) -> None:
    lines: list[str] = []
    materialize_runs(
        staged.catalog,
        staged.settings,
        [add_run(staged).id],
        on_line=lambda _, line: lines.append(line),
    )
    assert any("frame 6/6" in line for line in lines)


PROGRAM = """
import sys
from pathlib import Path
from cosmos_pipelines.materialize import materialize_lost, materialize_runs
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.settings import load_settings
from tests.support.stand_in_engine import registered

settings = load_settings(Path(sys.argv[1]))
with registered():
    try:
        materialize_runs(Catalog.open(settings.catalog_url), settings, sys.argv[2:],
                         on_line=lambda _, line: print(line, flush=True))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_ctrl_c_cancels_the_run_and_the_dagster_run(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged, "hang")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(staged.settings.home), run.id],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "hang" in line or "stand-in: 1 sample" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    assert process.wait(30) == 0
    assert "interrupted" in rest
    run = staged.catalog.get_run(run.id)
    assert (run.status, run.error_kind) == ("cancelled", "cancelled")
    assert staged.backend.active() == []
    (dagster_run,) = instance.get_runs()
    assert dagster_run.status == dg.DagsterRunStatus.CANCELED


ONE_SHOT = """
import json, subprocess, sys
from collections import Counter
from cosmos_pipelines.cli import main
counts, started = Counter(), []
def watch(frame, what, _):
    code = frame.f_code
    inside = "dagster/_core/instance" in code.co_filename
    counts["instances"] += what == "call" and code.co_name == "from_ref" and inside
def audit(event, arguments):
    if event == "subprocess.Popen":
        started.append(str(arguments[0]).split("/")[-1])
sys.addaudithook(audit)
sys.setprofile(watch)
code = main(sys.argv[1:])
sys.setprofile(None)
print(json.dumps([code, counts, started, sorted(sys.modules)]))
"""
MOST_MODULES = 1660
"""What a command that executes a run imports of others; Dagster itself is a third of it."""


def test_a_command_that_executes_a_run_opens_one_instance_and_starts_the_model_only(
    staged: Project,
) -> None:
    prompt = add_prompt(staged)
    with open_instance(staged.settings):
        pass  # the first use of a project makes Dagster's databases
    done = subprocess.run(
        [sys.executable, "-c", ONE_SHOT, "--home", str(staged.settings.home), "inference",
         prompt.id, "--engine", "preview"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, counts, started, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert counts == {"instances": 1}
    assert [name for name in started if name != "file"] == ["sh"]  # Dagster's croniter asks `file`
    ours = {name for name in modules if name.startswith("cosmos_pipelines.")}
    assert len(set(modules) - ours) <= MOST_MODULES
    assert not {name for name in ours if name.startswith("cosmos_pipelines.sensors.")}
    assert "PIL.TiffImagePlugin" not in modules  # PIL's init() imports every format there is


def test_a_video_that_does_not_pass_its_checks_says_so_in_its_run(
    staged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = add_run(staged)
    found = [Finding(name, name != "hash") for name in CHECKS]
    monkeypatch.setattr("cosmos_pipelines.assets.videos.examine", lambda *_: found)
    (done,) = materialize_runs(staged.catalog, staged.settings, [run.id])
    assert done.status == "completed"
    assert "did not pass its checks" in done.notes[-1] and "hash" in done.notes[-1]
