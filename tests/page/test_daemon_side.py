"""What the page says of Dagster's daemon, with the real one: not taken, paused, resumed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.resources.instance import open_instance
from tests.support.idle_daemon import project_with_idle_daemon
from tests.support.project import Project, make_project
from tests.support.waiting import until


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose daemon requests Dagster runs, of which none starts."""
    with project_with_idle_daemon(tmp_path / "home") as made:
        yield made


def requested(project: Project) -> int:
    """Dagster runs that were requested for what waits."""
    with open_instance(project.settings, captures=False) as instance:
        return len([r for r in instance.get_runs() if "cosmos/first_run" in r.tags])


def test_a_queue_without_a_daemon_is_paused_too(tmp_path: Path) -> None:
    settings = make_project(tmp_path / "home").settings
    with CosmosAPI(settings=settings) as api:
        nothing = {"alive": None, "beat": None, "sensor": None}
        assert api.daemon_state() == nothing | {"pauses": []}
        assert api.not_taken() == {"known": False, "directories": []}
        pause = api.pause_queue(reason="the host is needed")
        assert api.daemon_state() == nothing | {"pauses": [pause]}
    assert not (settings.dagster_dir / "dagster.yaml").exists()


def test_a_paused_queue_starts_nothing_and_a_refused_directory_says_why(project: Project) -> None:
    color = project.settings.inputs / "city" / "color.mp4"

    def drop(name: str) -> None:
        (project.settings.inputs / name).mkdir()
        shutil.copy(color, project.settings.inputs / name / "depth.mp4")

    with CosmosAPI(settings=project.settings) as api:

        def refused() -> dict[str, str]:
            found = api.not_taken()["directories"]
            return {one["name"]: one["said"] for one in found if one["state"] == "bad"}

        drop("bad")
        until(lambda: api.daemon_state()["sensor"] == "on", "a look at the queue")
        api.pause_queue()
        until(lambda: "bad" in refused(), "the reason")
        assert "no color pass" in refused()["bad"]
        prompt = api.create_prompt("A street", "city")
        api.create_run(prompt["id"], queue=True)
        drop("worse")
        until(lambda: "worse" in refused(), "the daemon's next looks")
        assert requested(project) == 0
        assert api.daemon_state()["alive"]
        assert api.resume_queue() == {"pauses": []}
        until(lambda: requested(project), "the run to be requested")
