"""`cosmos list runs --outdated` and `cosmos run --again`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.catalog.tables import runs
from tests.cli.conftest import Cosmos
from tests.support.made_once import made_once
from tests.support.project import Project, copy_of, make_project, write_video

Two = tuple[str, str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Two]:
    """A video of the scene `city` and its 4K, both of a render that is not there any more."""
    home, (video, larger) = made_once(tmp_path_factory, "rendered_again", _make)
    return home, (video, larger)


def _make(home: Path) -> Two:
    project = make_project(home)
    directory = project.scene(frames=2)
    with CosmosAPI(settings=project.settings) as api:
        prompt = api.create_prompt("a street", directory, name="first")["id"]
        video = api.quick_inference(prompt, num_steps=7)["id"]
        larger = api.upscale_run(video)["id"]
        assert api.list_runs(outdated=True) == []
    project.catalog.close()
    write_video(directory / "color.mp4", frames=2, seed=77)
    return video, larger


@pytest.fixture
def project(made: tuple[Path, Two], tmp_path: Path) -> Project:
    """A copy of it."""
    return copy_of(made[0], tmp_path / "home")


@pytest.fixture
def two(made: tuple[Path, Two]) -> Two:
    """The video and its 4K."""
    return made[1]


def test_videos_of_an_older_render_are_listed_with_the_reason(cosmos: Cosmos, two: Two) -> None:
    listed = {r["id"]: r["outdated"] for r in cosmos("list", "runs", "--outdated", "--json").json}
    assert {run: [r["kind"] for r in why] for run, why in listed.items()} == {
        two[0]: ["render"],
        two[1]: ["parent"],
    }
    assert "color of city was rendered again since." in cosmos("list", "runs", "--outdated").out
    of_render = cosmos("list", "runs", "--because", "render", "--ids").out.split()
    assert of_render == [two[0]]
    assert cosmos("list", "runs", "--because", "age").code == 2


def test_run_again_makes_new_ones_with_the_same_settings_and_keeps_the_old(
    project: Project, cosmos: Cosmos, two: Two
) -> None:
    said = cosmos("run", "--again", "--json")
    assert said.code == 0, said.err
    video, larger = said.json
    old = {run: cosmos("show", run, "--json").json for run in two}
    assert video["execution_config"] == old[two[0]]["execution_config"]
    assert larger["parent_run_id"] == video["id"]
    assert f"Made again of {two[0]}." in video["notes"]
    for run in old.values():
        assert run["status"] == "completed"
        assert (project.settings.home / run["outputs"]["video"]).is_file()
    listed = cosmos("list", "runs", "--outdated", "--json").json
    assert {r["id"]: r["replaced_by"] for r in listed} == {
        two[0]: video["id"],
        two[1]: larger["id"],
    }
    again = cosmos("run", "--again")
    assert (again.code, "Nothing is out of date." in again.err) == (0, True)


def test_a_run_that_is_not_out_of_date_is_made_again_when_it_is_named(
    cosmos: Cosmos, two: Two
) -> None:
    (new,) = [cosmos("run", "--again", two[0], "--json").json]
    assert new["status"] == "completed"
    assert cosmos("run", "--again", new["id"], "--json").json["id"] != new["id"]


def test_a_queued_4k_that_is_made_again_waits_for_its_video(cosmos: Cosmos, two: Two) -> None:
    video, larger = cosmos("run", "--again", "--detach", "--json").json
    assert (video["status"], larger["status"]) == ("pending", "pending")
    assert larger["parent_run_id"] == video["id"]
    assert None not in (video["queued_at"], larger["queued_at"])


def test_a_scene_that_is_gone_refuses_to_be_made_again_and_registers_nothing(
    project: Project, cosmos: Cosmos, two: Two
) -> None:
    shutil.rmtree(project.settings.inputs / "city")
    said = cosmos("run", "--again")
    assert said.code == 2
    assert "The scene 'city' is gone" in said.error
    assert len(cosmos("list", "runs", "--ids").out.split()) == 2


def test_run_needs_a_run_or_again(cosmos: Cosmos) -> None:
    assert "No run was given." in cosmos("run").error
    assert cosmos("run", "x", "--detach").code == 2


def test_if_a_4k_is_refused_nothing_is_queued_again(
    project: Project, cosmos: Cosmos, two: Two
) -> None:
    with project.catalog.write() as tx:
        of_4k = update(runs).where(runs.c.id == two[1])
        tx.connection.execute(of_4k.values(engine="gone"))
    said = cosmos("run", "--again", "--detach", *two)
    assert (said.code, "gone" in said.error) == (2, True)
    assert {run.id for run in project.catalog.list_runs()} == set(two)


def test_a_4k_is_queued_again_behind_its_video(project: Project, cosmos: Cosmos, two: Two) -> None:
    video, larger = cosmos("run", "--again", "--detach", "--json").json
    assert larger["parent_run_id"] == video["id"]
    assert f"Made again of {two[1]}." in larger["notes"]
    assert [run.id for run in project.catalog.ready_runs()] == [video["id"]]
    assert [run.id for run in project.catalog.queued_runs()] == [video["id"], larger["id"]]


def test_a_dry_run_of_a_video_and_its_4k_tells_both(cosmos: Cosmos, two: Two) -> None:
    assert two
    video, larger = cosmos("inference", "first", "--upscale", "--dry-run", "--json").json
    kinds = (video["order"]["model_type"], larger["order"]["model_type"])
    assert kinds == ("transfer", "upscale")
    (small,), (large,) = video["expected"], larger["expected"]
    assert large["width"] > small["width"]
    assert large["frames"] == small["frames"]
    assert larger.keys() == video.keys()
    shown = cosmos("inference", "first", "--upscale", "--dry-run")
    assert re.findall(r"^operation +(\w+)", shown.out, re.M) == ["transfer", "upscale"]
    assert len(cosmos("list", "runs", "--json").json) == 2
