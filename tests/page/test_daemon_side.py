"""What the page says of Dagster's daemon, with the real one: not taken, paused, resumed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.assets.partitions import SCENES
from cosmos_pipelines.media.settling import MARKER
from cosmos_pipelines.page.screens.scenes import nearest_directory
from cosmos_pipelines.resources.daemon_side import PARTITION
from cosmos_pipelines.resources.instance import open_instance
from tests.media import renders
from tests.media.lerobot import many_episodes
from tests.support import web
from tests.support.dagster_project import materialize
from tests.support.idle_daemon import project_with_idle_daemon
from tests.support.project import Project, make_project
from tests.support.review_page import review_page
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


def refused(api: CosmosAPI) -> dict[str, str]:
    """The directories that were refused or failed, with the reason; what settles yet has none."""
    found = api.not_taken()["directories"]
    return {one["name"]: one["said"] for one in found if one["state"] in ("bad", "failed")}


def test_a_directory_whose_preparation_failed_is_told_with_the_reason(project: Project) -> None:
    torn = renders.render(project.settings.inputs / "torn", frames=3)
    whole = (torn / "color.0002.png").read_bytes()
    (torn / "color.0002.png").write_bytes(whole[:-20])
    (torn / MARKER).touch()
    with CosmosAPI(settings=project.settings) as api:
        with open_instance(project.settings, captures=False) as instance:
            torn_runs = dg.RunsFilter(tags={PARTITION: "torn"})
            until(lambda: instance.get_runs(torn_runs), "the sensor to ask for its Dagster run")
            assert refused(api) == {}  # it waits
            assert not materialize(project, instance, SCENES, "torn").success
        [said] = refused(api).values()
        assert "color.0002.png" in said
        assert "truncated" in said
        with review_page(api) as url:
            listed = web.get(f"{url}/cosmos/scenes/not-taken").text
        assert "color.0002.png" in listed
        assert f"?prepare={torn}" in listed


def test_a_refused_directory_that_somebody_prepared_is_told_no_more(project: Project) -> None:
    shot = renders.render(project.settings.inputs / "shot", frames=3)
    renders.sequence(shot, "instance_segmentation_%04d.png", renders.segments, range(1, 4))
    (shot / MARKER).touch()
    with CosmosAPI(settings=project.settings) as api:
        until(lambda: refused(api), "the refusal")
        assert "Say which: `--pass segmentation=" in refused(api)["shot"]
        api.prepare_scene(shot, passes=["segmentation=instance_segmentation"])
        assert refused(api) == {}


def test_a_directory_whose_name_is_no_utf_8_is_told_and_hides_no_other(project: Project) -> None:
    for name in ("caf\udce9", "depth only"):
        renders.sequence(project.settings.inputs / name, "depth.%04d.png", renders.distance)
        (project.settings.inputs / name / MARKER).touch()
    with CosmosAPI(settings=project.settings) as api, review_page(api) as url:

        def listed() -> str:
            answer = web.get(f"{url}/cosmos/scenes/not-taken")
            assert answer.status_code == 200
            return str(answer.text)

        until(lambda: listed().count('<th scope="row"') == 2, "both to be told")
        assert "caf\\udce9" in listed()
        assert "depth only has no color pass" in listed()
        assert listed().count("?prepare=") == 1


def test_a_refused_directory_of_which_somebody_prepared_a_scene_is_told_no_more(
    project: Project,
) -> None:
    data = many_episodes(project.settings.inputs / "cups", 2)
    with CosmosAPI(settings=project.settings) as api:
        until(lambda: refused(api), "the refusal")
        assert "LeRobot data set" in refused(api)["cups"]
        api.prepare_scene(data, scene="episode_000001_top")
        assert refused(api) == {}


def test_what_is_not_taken_leads_to_the_nearest_directory_that_is_there(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    (drop / "clip_0").mkdir(parents=True)
    assert nearest_directory(tmp_path, "drop/clip_0") == drop / "clip_0"
    assert nearest_directory(tmp_path, "drop/demo_0_cam") == drop
    assert nearest_directory(tmp_path, "gone") == tmp_path


def test_a_queue_without_a_daemon_is_paused_too(tmp_path: Path) -> None:
    settings = make_project(tmp_path / "home").settings
    with CosmosAPI(settings=settings) as api:
        nothing = {"alive": None, "beat": None, "sensor": None}
        nothing |= {"workers": []}
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
        drop("bad")
        until(lambda: api.daemon_state()["sensor"] == "on", "a look at the queue")
        api.pause_queue()
        until(lambda: "bad" in refused(api), "the reason")
        assert "no color pass" in refused(api)["bad"]
        prompt = api.create_prompt("A street", "city")
        api.create_run(prompt["id"], queue=True)
        drop("worse")
        until(lambda: "worse" in refused(api), "the daemon's next looks")
        assert requested(project) == 0
        assert api.daemon_state()["alive"]
        assert api.resume_queue() == {"pauses": []}
        until(lambda: requested(project), "the run to be requested")
