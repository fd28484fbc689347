"""Dagster's own commands in a project: `dagster`, `dg`, with and without DAGSTER_HOME."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from cosmos_pipelines.assets.partitions import VIDEOS, latest
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.daemon import WORKSPACE
from cosmos_pipelines.materialize import materialize_runs
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from tests.support import web
from tests.support.ports import free_port
from tests.support.project import Project, make_project
from tests.support.waiting import LONG_S, until

BIN = Path(sys.executable).parent
MODULE = ("-m", "cosmos_pipelines.definitions")
COMMANDS = {
    "dagster": (str(BIN / "dagster"), "asset", "materialize", "--select"),
    "dagster module": (sys.executable, "-m", "dagster", "asset", "materialize", "--select"),
    "dg": (str(BIN / "dg"), "launch", "--assets"),
}


@pytest.fixture
def waiting(tmp_path: Path) -> tuple[Project, str]:
    """A project with a pending run that Dagster knows, and the run's id."""
    project = make_project(tmp_path / "my home")
    project.scene(frames=6)
    place = project.catalog, project.settings
    prompt, _ = register_prompt(*place, "a street", "city")
    run = enter(*place, plan_transfer(*place, prompt.id, {}))
    with open_instance(project.settings, captures=False) as instance:
        record(instance, *place, run)
    return project, run.id


def run_in(project: Project, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Dagster's command in the project's directory."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAGSTER", "COSMOS"))}
    return subprocess.run(
        words,
        cwd=project.settings.home,
        env={**kept, "PYTHONWARNINGS": "ignore", **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_executes_outside_of_the_project_s_instance_says_how_to_find_it(
    waiting: tuple[Project, str], command: str
) -> None:
    project, run_id = waiting
    words = (*COMMANDS[command], "inference_videos", "--partition", run_id, *MODULE)
    done = run_in(project, *words)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"export DAGSTER_HOME='{project.settings.dagster_dir}'" in said
    assert "Traceback" not in said
    assert project.catalog.get_run(run_id).status == "pending"


@pytest.mark.parametrize("command", ["dagster", "dg"])
def test_a_command_with_dagster_home_executes_a_run_of_the_project(
    waiting: tuple[Project, str], command: str
) -> None:
    project, run_id = waiting
    words = (*COMMANDS[command], "inference_videos", "--partition", run_id, *MODULE)
    done = run_in(project, *words, DAGSTER_HOME=str(project.settings.dagster_dir))
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.catalog.get_run(run_id).status == "completed"
    with open_instance(project.settings, captures=False) as instance:
        assert latest(instance, VIDEOS, run_id) is not None


def test_dg_knows_the_definitions_of_this_repository(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(BIN / "dg"), "list", "defs", "--json"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "COSMOS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "upscaled_videos" in done.stdout


LABELS = """{ assetNodes { assetKey { path } assetMaterializations(limit: 9) {
  partition metadataEntries { label } } } }"""


def labels_at(url: str) -> dict[str, set[str]]:
    """What a page shows of the materialisations of each asset: the names of their metadata."""
    answer = web.post(f"{url}/graphql", json={"query": LABELS}).json()
    return {
        node["assetKey"]["path"][0]: {
            entry["label"]
            for event in node["assetMaterializations"]
            for entry in event["metadataEntries"]
        }
        for node in answer["data"]["assetNodes"]
    }


def recorded(url: str) -> dict[str, set[str]] | None:
    """What the page shows once a video is recorded; None: none is yet."""
    with suppress(httpx.TransportError):
        labels = labels_at(url)
        return labels if labels.get("inference_videos") else None
    return None


def test_dagster_dev_shows_no_picture_and_no_link_that_it_does_not_serve(
    waiting: tuple[Project, str],
) -> None:
    project, run_id = waiting
    (run,) = materialize_runs(project.catalog, project.settings, [run_id])
    assert run.status == "completed"
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAGSTER", "COSMOS"))}
    page = subprocess.Popen(
        [str(BIN / "dagster"), "dev", "-w", str(WORKSPACE), "-p", str(port)],
        cwd=project.settings.home,
        env={**kept, "DAGSTER_DISABLE_TELEMETRY": "yes"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        shown = until(lambda: recorded(f"http://127.0.0.1:{port}"), "the video on the page")
    finally:
        page.send_signal(signal.SIGINT)
        page.wait(LONG_S)
    assert {"size", "frames", "path"} <= shown["inference_videos"]
    assert "preview" not in shown["inference_videos"] | shown["scenes"]
    assert "log" not in shown["inference_videos"]
    assert "scene picture" not in shown["prompts"]
    with open_instance(project.settings, captures=False) as instance:  # for `cosmos ui`
        event = latest(instance, VIDEOS, run_id)
    assert event and event.asset_materialization
    assert {"preview", "log"} <= event.asset_materialization.metadata.keys()
